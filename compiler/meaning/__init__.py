"""Whether a typed network makes sense: outputs, losses, metrics and training against each other."""
