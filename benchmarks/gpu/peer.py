"""What holds for every peer on a GPU.

Samples and weights lie in the GPU's memory; the host waits at the end of a block of steps, and nowhere else.
"""

from __future__ import annotations

CHECKED_STEPS = 5  # training steps whose losses are compared, each before its update
ON_GPU = "cuda"  # the device that every peer is measured on
