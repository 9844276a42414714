"""A product by cuBLASLt and the rest of its step, both in NumPy, against the whole step in the reference runtime."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from native_networks import Feeds, NetworkFeeds, compare, spec_feeds, spec_plan  # noqa: E402
from random_networks import RandomNetwork, random_networks  # noqa: E402

from nnc.commands.sources import bundled_names  # noqa: E402
from nnc.compiler.codegen.cuda.library import chosen_products, has_mask, library_products, writes_mask  # noqa: E402
from nnc.compiler.codegen.cuda.records import LibraryProduct  # noqa: E402
from nnc.compiler.pipeline import compile_source  # noqa: E402
from nnc.compiler.plan import ROWS_FEED, Body, Plan, Program, Reduction, Step  # noqa: E402
from nnc.grammar.source import SourceFile  # noqa: E402
from nnc.runtime.cuda.cublaslt import EPILOGUES  # noqa: E402
from nnc.runtime.initial import initial_values  # noqa: E402
from nnc.runtime.protocol import Array  # noqa: E402
from nnc.runtime.reference.arena import Arena, Scratch  # noqa: E402
from nnc.runtime.reference.roots import ROOTS, Binding, matmul_operands  # noqa: E402
from nnc.runtime.reference.steps import CompiledStep  # noqa: E402

HIDDEN = """
nn 1
model hidden
input x: float32[12]
hidden = x -> Dense(16, {first}) -> Dense(24, {second})
output y = hidden -> Dense(3) {{ loss = mse }}
train {{ batch_size = 8, optimizer = sgd(0.1){entry} }}
"""
GELU = "gelu(approximate = true)"


def hidden_plan(first: str, second: str, entry: str = "") -> Plan:
    text = HIDDEN.format(first=first, second=second, entry=entry)
    return compile_source(SourceFile("hidden.nn", text)).plan


# --- following a way --------------------------------------------------------------------------------------------------
def gelu(x: Array) -> Array:
    """Hendrycks and Gimpel, "Gaussian error linear units" (2016), the approximation by a tanh."""
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))


def gelu_slope(x: Array) -> Array:
    inner = np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)


class Library:
    """What cuBLASLt's manual says of its epilogues, in NumPy. `masks` stay from one product to the next."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.masks: dict[tuple[str, int], Array] = {}

    def run(self, way: LibraryProduct, rows: int) -> Array:
        """Write what the product writes; gives its result."""
        view = partial(self.arena.view, rows=rows)
        turned = (way.a, way.transpose_a), (way.b, way.transpose_b)
        a, b = (view(id).T if is_turned else view(id) for id, is_turned in turned)
        wide: Array = a @ b
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
        product = a @ b if result is None else result
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


def check_plan(plan: Plan, feeds: Feeds) -> Counter[str]:
    """Every way to do every product leaves in every buffer what its step does; gives how many of each epilogue."""
    ways = library_products(plan)
    seen: Counter[str] = Counter()
    arena = Arena(plan)
    for (_, id), (_, value) in zip(plan.variables, initial_values(plan), strict=True):
        arena.view(id, plan.batch_size)[...] = value
    for program in plan.programs:
        for rows in (plan.batch_size, max(1, plan.batch_size - 1)):
            library = Library(arena)
            feed(plan, program, arena, feeds(program.name, rows), rows)
            for number, step in enumerate(program.steps):
                for way in ways.get((program.name, number), ()):
                    check_way(way, step, library, rows)
                    seen[way.epilogue] += 1
                run_step(step, arena, rows)
    return seen


def feed(plan: Plan, program: Program, arena: Arena, arrays: Mapping[str, Array], rows: int) -> None:
    for name, id in program.feeds:
        arena.view(id, rows)[...] = rows if name == ROWS_FEED else arrays[name]


def check_way(way: LibraryProduct, step: Step, library: Library, rows: int) -> None:
    """Both from the same memory, which is left as it was."""
    arena = library.arena
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


# --- tests ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", bundled_names())
def test_every_way_to_do_a_product_of_a_bundled_spec_equals_its_step(name: str) -> None:
    plan = spec_plan(name)
    seen = check_plan(plan, spec_feeds(plan))
    products = [step for program in plan.programs for step in program.steps if step.kernel == "matmul"]
    assert seen["none"] == 2 * len(products), "every product of the bundled specs is one for the library"


@given(random_networks(dtype="float32"))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_way_to_do_a_product_of_a_random_network_equals_its_step(network: RandomNetwork) -> None:
    plan = compile_source(SourceFile("random.nn", network.text)).plan
    check_plan(plan, NetworkFeeds(plan, network.domains).feeds)


@pytest.mark.parametrize("first", ["relu", GELU, "relu, use_bias = false", f"{GELU}, use_bias = false"])
@pytest.mark.parametrize("entry", ["", ", clip_norm = 1"])
def test_epilogues_of_hidden_layers(first: str, entry: str) -> None:
    plan = hidden_plan(first, first, entry)
    seen = check_plan(plan, spec_feeds(plan))
    bias = "" if "use_bias" in first else "_bias"
    name = "relu" if "relu" in first else "gelu"
    assert seen[f"{name}{bias}"]
    assert seen[f"{name}_aux{bias}"]
    assert seen[f"d{name}"]
    assert bool(seen["bias"]), "the last layer has a bias"


@pytest.mark.parametrize("first", ["relu", GELU])
def test_a_bias_gradient_that_is_merely_stored_comes_with_the_product(first: str) -> None:
    """Steps with reductions of both kinds, made by hand of steps that reduce and do more."""
    plan = hidden_plan(first, first, ", clip_norm = 1")
    plan = with_plain_sums(plan)
    seen = check_plan(plan, spec_feeds(plan))
    assert seen["drelu_bgrad" if first == "relu" else "dgelu_bgrad"]


def with_plain_sums(plan: Plan) -> Plan:
    """The plan with sums over the rows that only store what they sum. It would not train, but each step is sound."""

    def stored(reduction: Reduction) -> Reduction:
        return replace(reduction, body=Body(stores=reduction.body.stores[:1]))

    def plain(step: Step) -> Step:
        found = tuple([stored(each) if each.axes == "leading" else each for each in step.reductions])
        return replace(step, reductions=found) if step.kernel == "matmul" else step

    programs = [replace(p, steps=tuple([plain(step) for step in p.steps])) for p in plan.programs]
    return replace(plan, programs=tuple(programs))


def test_the_gradient_of_a_shared_bias_comes_with_the_product() -> None:
    seen = check_plan(spec_plan("siamese"), spec_feeds(spec_plan("siamese")))
    assert seen["bgrad"]


def test_every_epilogue_has_a_number() -> None:
    plans = [hidden_plan(f, f, e) for f in ("relu", GELU, "relu, use_bias = false") for e in ("", ", clip_norm = 1")]
    plans += [with_plain_sums(plan) for plan in plans] + [spec_plan("siamese")]
    offered = {way.epilogue for plan in plans for ways in library_products(plan).values() for way in ways}
    assert offered <= EPILOGUES.keys()


def ways_of(plan: Plan, program: str, number: int) -> list[str]:
    return [way.epilogue for way in library_products(plan)[program, number]]


def test_the_more_is_covered_the_earlier_it_comes() -> None:
    plan = hidden_plan("relu", "relu")
    assert ways_of(plan, "train_step", 0) == ["relu_aux_bias", "relu_bias", "bias", "none"]
    assert ways_of(plan, "predict", 0) == ["relu_bias", "bias", "none"], "nothing goes back, so nothing is kept for it"


def test_gelu_by_its_exact_formula_is_not_the_librarys() -> None:
    assert ways_of(hidden_plan("gelu", "gelu"), "predict", 0) == ["bias", "none"]


def test_products_of_float64_are_left_to_the_kernels() -> None:
    text = HIDDEN.format(first="relu", second="relu", entry="").replace("float32", "float64")
    assert library_products(compile_source(SourceFile("hidden.nn", text)).plan) == {}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_computed_as_the_plan_says(precision: str) -> None:
    ways = library_products(hidden_plan("relu", "tanh", f", precision = {precision}"))
    assert {way.compute for each in ways.values() for way in each} == {precision}


def test_sizes_name_the_rows_of_the_batch() -> None:
    plan = hidden_plan("relu", "tanh")
    found = {(way.m, way.n, way.k) for ways in library_products(plan).values() for way in ways}
    assert {("rows", 16, 12), ("rows", 24, 16), ("rows", 3, 24), (12, 16, "rows")} <= found


# --- choosing ---------------------------------------------------------------------------------------------------------
def test_all_is_chosen_if_all_is_accepted() -> None:
    products = library_products(hidden_plan("relu", "relu"))
    assert chosen_products(products, lambda way: True) == {key: ways[0] for key, ways in products.items()}
    assert chosen_products(products, lambda way: False) == {}


@pytest.mark.parametrize("refused", ["relu_aux_bias", "drelu"])
def test_a_mask_needs_both_who_writes_and_who_reads_it(refused: str) -> None:
    products = library_products(hidden_plan("relu", "relu"))
    chosen = chosen_products(products, lambda way: way.epilogue != refused)
    assert not any(has_mask(way) for way in chosen.values())
    assert chosen["train_step", 0].epilogue == "relu_bias"


def test_one_mask_may_be_refused_and_another_kept() -> None:
    products = library_products(hidden_plan("relu", "relu"))
    (first, second) = (key for key, ways in products.items() if writes_mask(ways[0]))
    chosen = chosen_products(products, lambda way: not (has_mask(way) and way.aux == products[first][0].aux))
    assert chosen[first].epilogue == "relu_bias"
    assert chosen[second].epilogue == "relu_aux_bias"
    assert [way.aux for way in chosen.values() if way.epilogue == "drelu"] == [products[second][0].aux]
