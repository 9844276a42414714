"""Prints a plan as C for exactly its shapes: one function for each step, one for each program."""
