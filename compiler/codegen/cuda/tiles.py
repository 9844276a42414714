"""How a squad of eight warps cuts the result of a product: large tiles for large results, many small ones for the rest.

Nothing of it depends on the device: a sum is added up in the same order on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...types import ITEM_SIZE

SQUAD: Final = 8            # warps that sum a tile together
_LANES: Final = 32
_ENOUGH_TILES: Final = 96   # for most multiprocessors of a large GPU to have one


@dataclass(frozen=True, slots=True)
class Tile:
    """`down` warps below one another by `split` warps that each sum a part of every slice for the same rows.

    rows, vectors: what a warp holds in registers; depth: of a slice, along the summed index.
    """

    rows: int
    vectors: int
    down: int
    split: int
    depth: int

    @property
    def high(self) -> int:
        return self.rows * self.down

    @property
    def wide(self) -> int:
        return self.vectors * _LANES

    def count(self, rows: int, columns: int) -> int:
        """Tiles of a result."""
        return -(-rows // self.high) * -(-columns // self.wide)

    def shared_bytes(self, dtype: str) -> int:
        """Of memory that a squad needs, as `tile` in product.cuh has it."""
        slices = self.depth * (self.high + 4) + self.depth * (self.wide + 1)
        sums = SQUAD * self.rows * self.wide
        return -(-max(slices, sums) * ITEM_SIZE[dtype] // 16) * 16

    def text(self) -> str:
        return f"tile<{self.rows}, {self.vectors}, {self.down}, {self.split}, {self.depth}>"


_TILES: Final = (Tile(8, 4, 8, 1, 16), Tile(8, 2, 4, 2, 32), Tile(8, 1, 2, 4, 64), Tile(8, 1, 1, 8, 64))
_WIDE_ELEMENTS: Final = (Tile(8, 2, 8, 1, 16), Tile(8, 1, 4, 2, 32), Tile(8, 1, 2, 4, 32), Tile(8, 1, 1, 8, 32))


def tile_for(rows: int, columns: int, dtype: str) -> Tile:
    """The largest tile of which a result with a full batch has enough, else the smallest."""
    tiles = _TILES if dtype == "float32" else _WIDE_ELEMENTS
    return next((tile for tile in tiles if tile.count(rows, columns) >= _ENOUGH_TILES), tiles[-1])
