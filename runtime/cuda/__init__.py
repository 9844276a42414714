"""The CUDA runtime: plans executed by an NVIDIA GPU."""
