"""nnc beside its peers: the same models, weights, batches and optimizers, measured in turn. See docs/benchmarks.md."""
