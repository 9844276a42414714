"""Example specs that work as they are."""
