"""Feeds that are read where the data set lies: which, and that shuffled, strided and unaligned data give the same."""

from __future__ import annotations

import numpy as np
import pytest

from nnc.compiler.codegen.gathering import gathered_feeds
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile
from nnc.runtime.native.session import NativeRuntime
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.protocol import Array, Runtime
from nnc.runtime.reference import ReferenceRuntime

SPEC = """
input image: uint8[6, 5]
input other: float32[20]
input few:   uint8[3]
seen = image -> Rescale(1/255) -> Flatten
both = (seen, other, few -> Rescale(1/255)) -> Concatenate -> Dense(9, relu)
output digit = both -> Dense(4, softmax) { loss = sparse_categorical_crossentropy }
train { optimizer = sgd, batch_size = 7, seed = 3 }
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_source(SourceFile("seen.nn", SPEC)).plan


def names(plan: Plan, program: str) -> set[str]:
    fed = {id: name for name, id in plan.program(program).feeds}
    return {fed[id] for id in gathered_feeds(plan, plan.program(program))}


def test_long_samples_that_one_step_converts_are_read_where_they_lie(plan: Plan) -> None:
    assert names(plan, "train_step") == names(plan, "evaluate_step") == {"image", "other"}
    assert names(plan, "predict") == set()


def data(rows: int) -> dict[str, Array]:
    generator = np.random.default_rng(5)
    return {
        "image": generator.integers(0, 256, (rows, 6, 5)).astype(np.uint8),
        "other": generator.normal(size=(rows, 20)).astype(np.float32),
        "few": generator.integers(0, 256, (rows, 3)).astype(np.uint8),
        "target.digit": generator.integers(0, 4, rows).astype(np.int32),
    }


def unaligned(array: Array) -> Array:
    """The same numbers one byte beyond where numbers of their size belong."""
    view: Array = np.ndarray(array.shape, array.dtype, np.zeros(array.nbytes + 1, np.uint8)[1:].data)
    view[...] = array
    return view


def every_other(array: Array) -> Array:
    return np.repeat(array, 2, axis=0)[::2]


@pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
@pytest.mark.parametrize("lying", ["in rows", "every other row", "unaligned"])
def test_data_that_lies_in_any_way_gives_what_the_reference_gives(plan: Plan, lying: str) -> None:
    feeds = data(23)
    rows = np.random.default_rng(6).permutation(23)[:19]
    wanted = weights(ReferenceRuntime(), plan, feeds, rows)
    if lying == "every other row":
        feeds = {name: every_other(array) for name, array in feeds.items()}
    elif lying == "unaligned":
        feeds = feeds | {"other": unaligned(feeds["other"])}
        assert not feeds["other"].flags.aligned
    found = weights(NativeRuntime(2), plan, feeds, rows)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def weights(runtime: Runtime, plan: Plan, feeds: dict[str, Array], rows: Array) -> dict[str, Array]:
    session = runtime.prepare(plan)
    session.bind("train_step", feeds)
    session.run("train_step", rows)
    return {variable.name: session.read(variable.name) for variable, _ in plan.variables}
