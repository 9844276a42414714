"""A plan as CUDA C: the text that the native runtime compiles, run by warps, with tiles and headers of its own."""
