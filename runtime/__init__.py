"""Plan -> numbers: runtimes, training, data. Needs NumPy alone; sees plans, never graphs or syntax."""
