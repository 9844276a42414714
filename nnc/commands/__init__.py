"""The verbs of the command line, one module each.

A command module has `NAME`, `SUMMARY`, `add_arguments(parser)` and `run(arguments) -> int`, the exit code. It imports
nothing at its top that `nnc --help` would pay for: the parser, the compiler and NumPy are imported inside `run`.
"""
