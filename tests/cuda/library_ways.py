"""A product by cuBLASLt and the rest of its step, followed on the host, against the whole step in the reference."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import pi, sqrt
from pathlib import Path
from typing import Protocol

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from native_networks import Feeds, compare  # noqa: E402

from nnc.compiler.codegen.cuda.library import library_products, writes_mask  # noqa: E402
from nnc.compiler.codegen.cuda.records import LibraryProduct  # noqa: E402
from nnc.compiler.plan import ROWS_FEED, Plan, Program, Step  # noqa: E402
from nnc.runtime.initial import initial_values  # noqa: E402
from nnc.runtime.protocol import Array  # noqa: E402
from nnc.runtime.reference.arena import Arena, Scratch  # noqa: E402
from nnc.runtime.reference.roots import ROOTS, Binding, matmul_operands  # noqa: E402
from nnc.runtime.reference.steps import CompiledStep  # noqa: E402


class Follower(Protocol):
    """Does a product in an arena as a library would, epilogue and all; gives its result."""

    def run(self, way: LibraryProduct, rows: int) -> Array: ...


def bfloat16(values: Array) -> Array:
    """float32 rounded to the nearest bfloat16, of two to the even one. Requires: finite values."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    upper = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    rounded: Array = upper.view(np.float32)
    return rounded


def multiplied(a: Array, b: Array, precision: str) -> Array:
    product: Array = bfloat16(a) @ bfloat16(b) if precision == "bfloat16" else a @ b
    return product


def gelu(x: Array) -> Array:
    """Hendrycks and Gimpel, "Gaussian error linear units" (2016), the approximation by a tanh."""
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))


def gelu_slope(x: Array) -> Array:
    inner = np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)


class ManualInNumpy:
    """What cuBLASLt's manual says of its epilogues, of matrices as a plan has them. `masks` stay for later products."""

    def __init__(self, arena: Arena, _: tuple[LibraryProduct, ...]) -> None:
        self.arena = arena
        self.masks: dict[tuple[str, int], Array] = {}

    def run(self, way: LibraryProduct, rows: int) -> Array:
        """Write what the product writes; gives its result."""
        view = partial(self.arena.view, rows=rows)
        turned = (way.a, way.transpose_a), (way.b, way.transpose_b)
        a, b = (view(id).T if is_turned else view(id) for id, is_turned in turned)
        wide = multiplied(a, b, way.compute)
        if way.bias >= 0:
            wide = wide + view(way.bias).reshape(1, -1)
        if way.epilogue.startswith("gelu_aux"):
            view(way.aux)[...] = wide
        if writes_mask(way):
            self.masks[way.program, way.aux] = wide > 0
        if way.epilogue.startswith("relu"):
            wide = np.maximum(wide, 0)
        elif way.epilogue.startswith("gelu"):
            wide = gelu(wide)
        elif way.epilogue.startswith("drelu"):
            wide = np.where(self.masks[way.program, way.aux], wide, 0)
        elif way.epilogue.startswith("dgelu"):
            wide = wide * gelu_slope(view(way.aux))
        gradient = b.sum(axis=0) if way.epilogue == "bgrad" else wide.sum(axis=0)
        if way.bias_gradient >= 0:
            view(way.bias_gradient)[...] = gradient.reshape(view(way.bias_gradient).shape)
        result = wide.astype(np.float32)
        if way.result >= 0:
            view(way.result)[...] = result
        return result


@contextmanager
def products_are(result: Array | None) -> Iterator[None]:
    """The reference's products are this matrix; without one, all of a product at once, so that sums round alike."""

    def bind(step: Step, arena: Arena, scratch: Scratch, rows: int) -> Binding:
        a, b = matmul_operands(step, arena, rows)
        product = multiplied(a, b, arena.plan.precision) if result is None else result
        return [], lambda tile, out: partial(np.copyto, out, product[tile])

    kept, ROOTS["matmul"] = ROOTS["matmul"], bind
    try:
        yield
    finally:
        ROOTS["matmul"] = kept


def run_step(step: Step, arena: Arena, rows: int) -> None:
    with np.errstate(all="ignore"):
        for call in CompiledStep(step, arena).bind(Scratch(), rows):
            call()


def written(step: Step) -> list[int]:
    bodies = (step.body, *(reduction.body for reduction in step.reductions))
    return list(dict.fromkeys(id for body in bodies for id, _ in body.stores))


Maker = Callable[[Arena, tuple[LibraryProduct, ...]], Follower]


def check_plan(plan: Plan, feeds: Feeds, make: Maker = ManualInNumpy) -> Counter[str]:
    """Every way to do every product leaves in every buffer what its step does; gives how many of each epilogue."""
    ways = library_products(plan)
    seen: Counter[str] = Counter()
    arena = Arena(plan)
    for (_, id), (_, value) in zip(plan.variables, initial_values(plan), strict=True):
        arena.view(id, plan.batch_size)[...] = value
    for program in plan.programs:
        for rows in (plan.batch_size, max(1, plan.batch_size - 1)):
            library = make(arena, tuple([way for each in ways.values() for way in each]))
            feed(plan, program, arena, feeds(program.name, rows), rows)
            for number, step in enumerate(program.steps):
                for way in ways.get((program.name, number), ()):
                    check_way(way, step, library, arena, rows)
                    seen[way.epilogue] += 1
                run_step(step, arena, rows)
    return seen


def feed(plan: Plan, program: Program, arena: Arena, arrays: Mapping[str, Array], rows: int) -> None:
    for name, id in program.feeds:
        arena.view(id, rows)[...] = rows if name == ROWS_FEED else arrays[name]


def check_way(way: LibraryProduct, step: Step, library: Follower, arena: Arena, rows: int) -> None:
    """Both from the same memory, which is left as it was."""
    before = arena._bytes.copy()
    with products_are(None):
        run_step(step, arena, rows)
    wanted = {id: arena.view(id, rows).copy() for id in written(step)}
    arena._bytes[...] = before
    result = library.run(way, rows)
    assert (way.rest is None) == (way.result >= 0)
    if way.rest is not None:
        with products_are(result):
            run_step(way.rest, arena, rows)
    for id, value in wanted.items():
        what = f"{way.program} {way.number} {way.epilogue}: {arena.plan.buffers[id].name}"
        compare(arena.view(id, rows).copy(), value, "float32", what)
    arena._bytes[...] = before
