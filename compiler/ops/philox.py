"""Philox4x32-10: random numbers as a pure function of (seed, step, stream, element).

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 4.2.
This module defines the numbers; every runtime gives the same ones.

- key = (seed's low 32 bits, seed's high 32 bits)
- counter = (element // 4 low 32 bits, element // 4 high 32 bits, step's low 32 bits, stream)
- element e is made of the block of its counter: word e % 4 for uniforms, pair (e % 4) // 2 for normals
- uniform = (word >> 8) * 2**-24, float32 in [0, 1)
- normal: from the pair (w0, w1), u1 = (w0 + 1) * 2**-32 and u2 = w1 * 2**-32, r = sqrt(-2 ln u1), angle = 2 pi u2,
  all in float64; the even element is r cos(angle), the odd one r sin(angle), rounded to float32
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]  # 32-bit words in 64-bit places, so that products keep their high half
Floats = npt.NDArray[np.float32]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10


def philox4x32(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """The four output words of each counter; each counter word is an array or a number, all below 2**32."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0, product1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            product0 & _LOW,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def words(size: int, seed: int, step: int, stream: int) -> Words:
    """The words of blocks 0, 1, ... in order: uint64[4 * blocks], at least `size` of them."""
    block = np.arange((size + 3) // 4, dtype=np.uint64)
    counter = (block & _LOW, block >> _SHIFT, step & 0xFFFFFFFF, stream)
    lanes = philox4x32(counter, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    return np.stack(lanes, axis=-1).reshape(-1)


def uniform(size: int, seed: int, step: int, stream: int) -> Floats:
    """float32[size] in [0, 1)."""
    return ((words(size, seed, step, stream)[:size] >> np.uint64(8)).astype(np.float32)) * np.float32(2.0**-24)


def normal(size: int, seed: int, step: int, stream: int) -> Floats:
    """float32[size], mean 0 and standard deviation 1 (Box and Muller 1958)."""
    pairs = words(size, seed, step, stream).reshape(-1, 2).astype(np.float64)
    radius = np.sqrt(-2.0 * np.log((pairs[:, 0] + 1.0) * 2.0**-32))
    angle = 2.0 * np.pi * (pairs[:, 1] * 2.0**-32)
    both = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)
    return both.reshape(-1)[:size].astype(np.float32)
