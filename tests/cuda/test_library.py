"""Which products cuBLASLt can do: every way to do one, and the rest of its step, against the whole step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from library_ways import check_plan
from native_networks import NetworkFeeds, spec_feeds, spec_plan
from random_networks import RandomNetwork, random_networks

from nnc.commands.sources import bundled_names
from nnc.compiler.codegen.cuda.library import chosen_products, has_mask, library_products, writes_mask
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Body, Plan, Reduction, Step
from nnc.grammar.source import SourceFile
from nnc.runtime.cuda.cublaslt import EPILOGUES

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


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "tf32"])
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
