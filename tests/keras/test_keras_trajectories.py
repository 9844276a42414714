"""A hundred steps of training from equal weights on equal batches follow Keras: the whole way from text to numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recording import arrays, cases, index

from nnc.compiler.autodiff import differentiate
from nnc.compiler.evaluate import evaluate
from nnc.compiler.formulas.initializers import draw
from nnc.compiler.lower import lower
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.compiler.resolve import build_network
from nnc.compiler.shapes import check_shapes
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile
from nnc.runtime.reference import ReferenceRuntime

Case = dict[str, Any]
NORMALIZING = ("BatchNormalization", "LayerNormalization")


def written(value: Any) -> str:
    """A value as it stands in a spec: `0.1`, `true`, `[1, 2]`, `l1(l1 = 0.01)`."""
    match value:
        case bool():
            return str(value).lower()
        case [str() as name, dict() as arguments]:
            return call(name, arguments)
        case list():
            return f"[{', '.join(map(written, value))}]"
    return str(value)


def call(name: str, arguments: dict[str, Any]) -> str:
    if not arguments:
        return name
    return f"{name}({', '.join(f'{key} = {written(value)}' for key, value in arguments.items())})"


def spec_of(case: Case) -> str:
    """The `.nn` text of a recorded case; hidden layers are called h0, h1 ..., the output y."""
    *hidden, last = case["layers"]
    steps = [f"h{k} = {'x' if k == 0 else f'h{k - 1}'} -> {call(*layer)}" for k, layer in enumerate(hidden)]
    output = [f"loss = {call(*case['loss'])}"]
    if "class_weight" in case:
        output.append(f"class_weight = {written(case['class_weight'])}")
    train = [f"optimizer = {call(*case['optimizer'])}", f"batch_size = {arrays()['train.x'].shape[1]}"]
    train += [f"{own} = {case[key]}" for own, key in (("clip_norm", "global_clipnorm"), ("clip_value", "clipvalue"))
              if key in case]  # fmt: skip
    return "\n".join([
        "nn 1", "model recorded", "input x: float32[12]", *steps,
        f"output y = h{len(hidden) - 1} -> {call(*last)} {{ {', '.join(output)} }}",
        f"train {{ {', '.join(train)} }}", "",
    ])  # fmt: skip


def initial_weights(case: Case) -> dict[str, np.ndarray]:
    """Name of a variable -> its recorded value at the start."""
    weights, dense = {}, 0
    names = [*(f"h{k}" for k in range(len(case["layers"]) - 1)), "y"]
    for name, (kind, _) in zip(names, case["layers"], strict=True):
        if kind == "Dense":
            weights |= {f"{name}.{w}": arrays()[f"weight.{w}_{dense}"] for w in ("kernel", "bias")}
            dense += 1
        elif kind in NORMALIZING:
            weights |= {f"{name}.{w}": arrays()[f"weight.{w}"] for w in ("gamma", "beta")}
    return weights


def batches(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return arrays()["train.x"], arrays()[f"train.{case['target']}"]


def losses_of_the_graph(case: Case) -> np.ndarray:
    """The loss of each step by the op graph, node by node: nothing is fused or planned."""
    network = check_shapes(build_network(parse(SourceFile("recorded.nn", spec_of(case))), CompileOptions()))
    programs = differentiate(lower(network), network)
    graph = next(graph for graph in programs.graphs if graph.program == "train_step")
    values = {}
    for variable in programs.variables:
        chosen, numbers = draw(variable.initializer, variable.type.concrete(0))
        values[variable.name] = np.full(variable.type.shape, numbers[0] if chosen == "constant" else np.nan)
    values = {v.name: values[v.name].astype(v.type.dtype) for v in programs.variables} | initial_weights(case)
    (x, target), losses = batches(case), []
    for step in range(index()["steps"]):
        feeds = {"x": x[step % len(x)], "target.y": target[step % len(x)]}
        results, values = evaluate(graph, feeds, values, 0, x.shape[1])
        losses.append(float(results["loss"]))
    return np.array(losses)


def losses_of_the_plan(case: Case) -> np.ndarray:
    """The loss of each step by the compiled plan, in its arena."""
    plan = compile_source(SourceFile("recorded.nn", spec_of(case)), CompileOptions()).plan
    session = ReferenceRuntime().prepare(plan)
    for name, value in initial_weights(case).items():
        session.write(name, value)
    (x, target), losses = batches(case), []
    rows = x.shape[1]
    session.bind("train_step", {"x": np.concatenate(list(x)), "target.y": np.concatenate(list(target))})
    for step in range(index()["steps"]):
        session.run("train_step", np.arange(rows, dtype=np.int64) + step % len(x) * rows)
        losses.append(float(session.fetch("train_step", "loss")))
    return np.array(losses)


@pytest.mark.parametrize("case", cases("trajectories"))
@pytest.mark.parametrize("losses_of", [losses_of_the_graph, losses_of_the_plan], ids=["graph", "plan"])
def test_a_hundred_steps_follow_keras(case: Case, losses_of: Callable[[Case], np.ndarray]) -> None:
    np.testing.assert_allclose(losses_of(case), arrays()[case["losses"]], rtol=1e-4)
