"""The random numbers of `nnc.compiler.ops.philox`, bit for bit, made in memory that is taken beforehand."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .arena import Array, Scratch

CHUNK: Final = 16 * 1024       # elements made at once
_BLOCKS: Final = CHUNK // 4 + 1  # a chunk may start inside a block

_MULTIPLIERS: Final = (np.array(0xD2511F53, np.uint64), np.array(0xCD9E8D57, np.uint64))
_KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
_LOW: Final = np.array(0xFFFFFFFF, np.uint64)
_SHIFT: Final = np.array(32, np.uint64)
_EIGHT: Final = np.array(8, np.uint64)
_ROUNDS: Final = 10
_UNIFORM_SCALE: Final = np.array(2.0**-24, np.float32)
_ONE, _WORD_SCALE, _TURN, _MINUS_TWO = (np.array(x, np.float64) for x in (1.0, 2.0**-32, 2.0 * np.pi, -2.0))


class Philox:
    """Philox4x32-10 for one seed. `uniform` and `normal` fill float32 arrays and allocate nothing."""

    def __init__(self, seed: int, scratch: Scratch) -> None:
        k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
        self._keys = []
        for _ in range(_ROUNDS):
            self._keys.append((np.array(k0, np.uint64), np.array(k1, np.uint64)))
            k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
        self._range = np.arange(_BLOCKS, dtype=np.uint64)
        self._counter = scratch.take((4, _BLOCKS), np.uint64)
        self._products = scratch.take((2, _BLOCKS), np.uint64)
        self._lanes = scratch.take((_BLOCKS, 4), np.uint64)
        self._pairs = scratch.take((_BLOCKS * 2, 2), np.float64)
        self._both = scratch.take((_BLOCKS * 2, 2), np.float64)

    def uniform(self, out: Array, start: int, step: Array, stream: int) -> None:
        """Elements `start`, `start + 1`, ... of the stream at `step` into `out`, which is one-dimensional."""
        for place in range(0, len(out), CHUNK):
            piece = out[place : place + CHUNK]
            words = self._words(start + place, len(piece), int(step), stream)
            np.right_shift(words, _EIGHT, out=words)
            np.copyto(piece, words, casting="unsafe")
            np.multiply(piece, _UNIFORM_SCALE, out=piece)

    def normal(self, out: Array, start: int, step: Array, stream: int) -> None:
        """As `uniform`, by Box and Muller's transformation in float64."""
        for place in range(0, len(out), CHUNK):
            piece = out[place : place + CHUNK]
            first = (start + place) % 2
            words = self._words(start + place - first, len(piece) + first, int(step), stream, whole_pairs=True)
            count = len(words) // 2
            self._box_muller(words.reshape(count, 2), self._pairs[:count], self._both[:count])
            np.copyto(piece, self._both.reshape(-1)[first : first + len(piece)], casting="unsafe")

    def _box_muller(self, words: Array, pairs: Array, both: Array) -> None:
        np.copyto(pairs, words, casting="unsafe")
        radius, angle = pairs[:, 0], pairs[:, 1]
        np.add(radius, _ONE, out=radius)
        np.multiply(radius, _WORD_SCALE, out=radius)
        np.log(radius, out=radius)
        np.multiply(radius, _MINUS_TWO, out=radius)
        np.sqrt(radius, out=radius)
        np.multiply(angle, _WORD_SCALE, out=angle)
        np.multiply(angle, _TURN, out=angle)
        np.cos(angle, out=both[:, 0])
        np.sin(angle, out=both[:, 1])
        np.multiply(both, pairs[:, :1], out=both)

    def _words(self, start: int, size: int, step: int, stream: int, whole_pairs: bool = False) -> Array:
        """32-bit words of the elements from `start` on, in 64-bit places."""
        skipped = start % 4
        blocks = -(-(skipped + size) // 4)
        counter = self._counter[:, :blocks]
        np.add(self._range[:blocks], start // 4, out=counter[1])
        np.bitwise_and(counter[1], _LOW, out=counter[0])
        np.right_shift(counter[1], _SHIFT, out=counter[1])
        counter[2] = step & 0xFFFFFFFF
        counter[3] = stream
        lanes = self._lanes[:blocks]
        for lane, place in enumerate(self._run_rounds(counter, self._products[:, :blocks])):
            np.copyto(lanes[:, lane], place)
        if whole_pairs:
            size += size % 2
        return lanes.reshape(-1)[skipped : skipped + size]

    def _run_rounds(self, counter: Array, products: Array) -> list[npt.NDArray[Any]]:
        """The four output words, in the places of the counter, whose rows are exchanged from round to round."""
        c0, c1, c2, c3 = counter
        p0, p1 = products
        for k0, k1 in self._keys:
            np.multiply(c0, _MULTIPLIERS[0], out=p0)
            np.multiply(c2, _MULTIPLIERS[1], out=p1)
            np.right_shift(p1, _SHIFT, out=c0)
            np.bitwise_xor(c0, c1, out=c0)
            np.bitwise_xor(c0, k0, out=c0)
            np.bitwise_and(p1, _LOW, out=c1)
            np.right_shift(p0, _SHIFT, out=c2)
            np.bitwise_xor(c2, c3, out=c2)
            np.bitwise_xor(c2, k1, out=c2)
            np.bitwise_and(p0, _LOW, out=c3)
        return [c0, c1, c2, c3]
