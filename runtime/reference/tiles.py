"""How a space is cut into tiles: pieces of whole rows, so small that the registers stay in the processor's cache."""

from __future__ import annotations

from math import prod
from typing import Final

TILE_ELEMENTS: Final = 32 * 1024    # a float32 register of 128 KiB

Tile = tuple[slice, ...]


def cut(space: tuple[int, ...], whole_rows: bool, limit: int = TILE_ELEMENTS) -> list[Tile]:
    """Tiles of at most `limit` elements in row-major order. whole_rows: the last axis stays whole, however long."""
    axes = len(space) - 1 if whole_rows else len(space)
    axis = 0
    while axis < axes - 1 and prod(space[axis + 1 :]) > limit:
        axis += 1
    if axes <= 0 or prod(space) <= limit:
        return [tuple([slice(0, dim) for dim in space])]
    length = max(1, limit // prod(space[axis + 1 :]))
    rest = tuple([slice(0, dim) for dim in space[axis + 1 :]])
    tiles: list[Tile] = [()]
    for dim in space[:axis]:
        tiles = [(*tile, slice(k, k + 1)) for tile in tiles for k in range(dim)]
    pieces = [slice(start, min(start + length, space[axis])) for start in range(0, space[axis], length)]
    return [(*tile, piece, *rest) for tile in tiles for piece in pieces]


def tile_shape(tile: Tile) -> tuple[int, ...]:
    return tuple([piece.stop - piece.start for piece in tile])
