"""The parts of fusion: items, kernels in the making, steps written down."""
