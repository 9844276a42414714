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
    if "sample_weight" in case:
        output.append("sample_weight = importance")
    train = [f"optimizer = {call(*case['optimizer'])}", f"batch_size = {arrays()['train.x'].shape[1]}"]
    names = {"clip_norm": "global_clipnorm", "clip_value": "clipvalue", "accumulate": "accumulate", "ema": "ema"}
    train += [f"{own} = {case[key]}" for own, key in names.items() if key in case]
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


def batches(case: Case) -> dict[str, np.ndarray]:
    """Name of a feed -> its batches."""
    feeds = {"x": arrays()["train.x"], "target.y": arrays()[f"train.{case['target']}"]}
    return feeds | ({"sample_weight.y": arrays()[case["sample_weight"]]} if "sample_weight" in case else {})


def follows_keras(case: Case, losses: list[float], values: dict[str, np.ndarray]) -> None:
    """Compare each step's loss, and the moving averages of the weights after the last."""
    np.testing.assert_allclose(losses, arrays()[case["losses"]], rtol=1e-4)
    owned = ("h0.kernel", "h0.bias", "y.kernel", "y.bias")
    for name, recorded in zip(owned, case["averages"], strict=True) if "averages" in case else ():
        np.testing.assert_allclose(values[f"{name}.average"], arrays()[recorded], rtol=1e-3, atol=1e-5)


def train_graph(case: Case) -> tuple[list[float], dict[str, np.ndarray]]:
    """Each step's loss and the last variables by the op graph, node by node: nothing is fused or planned."""
    network = check_shapes(build_network(parse(SourceFile("recorded.nn", spec_of(case))), CompileOptions()))
    programs = differentiate(lower(network), network)
    graph = next(graph for graph in programs.graphs if graph.program == "train_step")
    values = {}
    for variable in programs.variables:
        chosen, numbers = draw(variable.initializer, variable.type.concrete(0))
        values[variable.name] = np.full(variable.type.shape, numbers[0] if chosen == "constant" else np.nan)
    values = {v.name: values[v.name].astype(v.type.dtype) for v in programs.variables} | initial_weights(case)
    fed, losses = batches(case), []
    count, rows = fed["x"].shape[:2]
    for step in range(index()["steps"]):
        feeds = {name: value[step % count] for name, value in fed.items()}
        results, values = evaluate(graph, feeds, values, 0, rows)
        losses.append(float(results["loss"]))
    return losses, values


def train_plan(case: Case) -> tuple[list[float], dict[str, np.ndarray]]:
    """The same by the compiled plan, in its arena."""
    plan = compile_source(SourceFile("recorded.nn", spec_of(case)), CompileOptions(), verify=True).plan
    session = ReferenceRuntime().prepare(plan)
    for name, value in initial_weights(case).items():
        session.write(name, value)
    fed, losses = batches(case), []
    count, rows = fed["x"].shape[:2]
    session.bind("train_step", {name: np.concatenate(list(value)) for name, value in fed.items()})
    for step in range(index()["steps"]):
        session.run("train_step", np.arange(rows, dtype=np.int64) + step % count * rows)
        losses.append(float(session.fetch("train_step", "loss")))
    return losses, {variable.name: session.read(variable.name) for variable, _ in plan.variables}


@pytest.mark.parametrize("case", cases("trajectories"))
@pytest.mark.parametrize("trained", [train_graph, train_plan], ids=["graph", "plan"])
def test_a_hundred_steps_follow_keras(
    case: Case, trained: Callable[[Case], tuple[list[float], dict[str, np.ndarray]]]
) -> None:
    follows_keras(case, *trained(case))
