"""nnc on a GPU beside PyTorch and JAX: the same models, weights, batches and precision, in turn. See docs/gpu.md."""
