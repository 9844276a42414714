"""Text <-> syntax tree of the `.nn` language, and the diagnostics every stage reports with."""
