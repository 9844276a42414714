"""What the printed C is cut for: lanes of a vector, the shape of a product's tile, what is worth sharing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of processor. `lanes`: elements of every vector; `tile_rows[w]`: rows of a tile that is w vectors wide.

    A tile's accumulators, one row of its right operand and one broadcast number fill the registers.
    """

    name: str
    vector_bytes: int
    width: int                      # vectors of float32 in a full tile
    tile_rows: tuple[int, ...]      # by width; index 0 unused
    rounding: str = ""              # the header whose tiles multiply bfloat16; with one, float32 products have none
    small_work: int | None = None   # cycles not worth sharing; None: what it takes to wake a thread
    chunks: int = 16                # parts of a space whose reductions are shared; never the number of workers
    across: int | None = None       # the longest row that is put across vectors, a row in each lane; None: a vector's
    is_warp: bool = False           # so many work at once that each takes a vector, and a fold of lanes costs nothing

    @property
    def lanes(self) -> int:
        return self.vector_bytes // 4

    def small(self, usual: int) -> int:
        """Cycles of work that one worker does alone."""
        return usual if self.small_work is None else self.small_work


AVX512: Final = Target("avx512", 64, 3, (0, 8, 8, 8))
AVX512_BF16: Final = Target("avx512 with bfloat16", 64, 3, (0, 8, 8, 8), "tile_avx512bf16.h")
AMX: Final = Target("avx512 with amx", 64, 3, (0, 32, 32, 32), "tile_amx.h")
AVX2: Final = Target("avx2", 32, 3, (0, 4, 4, 4))
VECTOR128: Final = Target("128-bit vectors", 16, 3, (0, 8, 8, 8))
WARP: Final = Target("a warp of 32 lanes", 128, 1, (0, 8), small_work=32, chunks=64, across=8, is_warp=True)
TARGETS: Final = {target.name: target for target in (AVX512, AVX2, VECTOR128)}
