"""Strides of tensors and of views into them. They count elements; the batch is always axis 0, so no stride needs it."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from .types import BATCH, Dim, Shape

Strides = tuple[int, ...]


@lru_cache(maxsize=4096)
def row_major(shape: Shape) -> Strides:
    """Strides of a tensor without gaps, the last axis fastest."""
    strides, step = [], 1
    for dim in reversed(shape):
        strides.append(step)
        step *= 1 if dim == BATCH else dim
    return tuple(reversed(strides))


@lru_cache(maxsize=4096)
def reshape_strides(shape: Shape, strides: Strides, new: Shape) -> Strides | None:
    """Strides that show a strided tensor of `shape` as `new` where it lies; None if it has to be copied.

    The batch, where there is one, is axis 0 of both.
    """
    if shape == new:
        return strides
    if strides == row_major(shape):
        return row_major(new)
    if shape and shape[0] == BATCH:
        rest = reshape_strides(shape[1:], strides[1:], new[1:])
        return None if rest is None else (strides[0], *rest)
    runs = _contiguous_runs(shape, strides)
    return _split_runs(runs, new)


def _contiguous_runs(shape: Shape, strides: Strides) -> list[tuple[int, int]]:
    """Neighbouring axes joined where they lie without a gap: (length, stride of the last); lengths of 1 dropped."""
    runs: list[tuple[int, int]] = []
    for dim, stride in zip(shape, strides, strict=True):
        assert isinstance(dim, int)
        if dim == 1:
            continue
        if runs and runs[-1][1] == dim * stride:
            runs[-1] = (runs[-1][0] * dim, stride)
        else:
            runs.append((dim, stride))
    return runs


def _split_runs(runs: list[tuple[int, int]], new: Shape) -> Strides | None:
    """Cut each run into whole axes of `new`, from the last on; None where an axis would span two runs."""
    result: list[int] = []
    left, stride = 1, 1
    pending = list(runs)
    for dim in reversed(new):
        assert isinstance(dim, int)
        if left == 1 and dim != 1:
            if not pending:
                return None
            left, stride = pending.pop()
        if left % dim:
            return None
        result.append(stride)
        left //= dim
        stride *= dim
    return tuple(reversed(result)) if left == 1 and not pending else None


def permuted(values: tuple[Dim, ...] | Strides, order: tuple[int, ...]) -> tuple[Dim, ...]:
    """Axes in another order, for shapes and strides alike."""
    return tuple(values[axis] for axis in order)


def elements(shape: Shape) -> int:
    """Elements of one sample, or of the whole where there is no batch."""
    return prod(1 if dim == BATCH else dim for dim in shape)


def without_leading_ones(shape: Shape) -> Shape:
    """`[1, 1, 10]` -> `[10]`: the shape in which the result of a leading reduction is worked on."""
    for axis, dim in enumerate(shape):
        if dim != 1:
            return shape[axis:]
    return ()
