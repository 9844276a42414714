"""Syntax tree -> plan: the stages of the nnc compiler, each a pure function with a printable value."""
