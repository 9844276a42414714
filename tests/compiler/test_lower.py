"""From layers to programs: names, reported figures and their sums, shared layers, learned statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sample_networks import NetworkBuilder, batch_of, loss, values_for

from nnc.compiler.evaluate import evaluate
from nnc.compiler.expr import Expr
from nnc.compiler.graph import Graph, Programs, Term
from nnc.compiler.lower import lower
from nnc.compiler.ops.scalar import evaluate as evaluate_scalar
from nnc.compiler.options import Choice, OutputConfig
from nnc.compiler.simplify import simplify
from nnc.compiler.types import BATCH, TensorType
from nnc.compiler.verify_graph import verify_programs

L2 = Choice("l2", (("l2", 0.01),))


def program(programs: Programs, name: str) -> Graph:
    (found,) = [graph for graph in programs.graphs if graph.program == name]
    return found


def run(programs: Programs, name: str, feeds: dict[str, Any], **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    values = values_for({v.name: v for v in programs.variables}, np.random.default_rng(0)) | given
    rows = len(next(iter(feeds.values())))
    return evaluate(program(programs, name), feeds, values, 7, rows)


def figure(term: Term, after: dict[str, Any], rows: int) -> float:
    bindings = {f"a{k}": after[name] for k, name in enumerate(term.accumulators)} | {"rows": np.array(float(rows))}
    return float(evaluate_scalar(term.finish, bindings, np.float64))


def classifier(**output: Any) -> Programs:
    b = NetworkBuilder()
    value = b.layer("hidden", "Dense", b.input("x", batch_of(4)), units=3, activation=Choice("softmax"))
    config = {"loss": loss("sparse_categorical_crossentropy"), "metrics": (Choice("accuracy"),)}
    programs = lower(b.network(OutputConfig("digit", value, **config | output)))
    verify_programs(programs)
    return programs


def test_programs_and_their_feeds_and_results() -> None:
    programs = classifier()
    assert [graph.program for graph in programs.graphs] == ["predict", "evaluate_step", "train_step"]
    assert [name for name, _ in program(programs, "predict").results] == ["prediction.digit"]
    train = program(simplify(programs), "train_step")
    assert [name for name, _ in train.results] == ["digit.loss", "loss"]
    feeds = {str(node.attr("name")): node.type for node in train.nodes if node.op == "input"}
    assert feeds == {"x": batch_of(4), "target.digit": TensorType("int32", (BATCH,))}
    assert {v.name: v.role for v in programs.variables} == {
        "hidden.kernel": "weight",
        "hidden.bias": "weight",
        "step": "scalar",
        "learning_rate_scale": "scalar",
        "sum.digit.loss.0": "accumulator",
        "sum.digit.accuracy.0": "accumulator",
    }


def test_a_network_without_a_loss_can_only_predict() -> None:
    b = NetworkBuilder()
    value = b.layer("y", "Dense", b.input("x", batch_of(4)), units=3)
    assert [g.program for g in lower(b.network(OutputConfig("y", value, None))).graphs] == ["predict"]


def expressions(graph: Graph) -> set[str]:
    return {str(node.attr("expr")) for node in graph.nodes if node.op == "map"}


def test_a_crossentropy_of_a_softmax_is_taken_of_its_logits() -> None:
    assert not any("1e-07" in text for text in expressions(program(simplify(classifier()), "train_step")))


def test_a_crossentropy_of_unknown_probabilities_is_clipped_as_in_keras() -> None:
    b = NetworkBuilder()
    soft = b.layer("soft", "softmax", b.input("x", batch_of(4)))
    hidden = b.layer("same", "linear", soft)
    output = OutputConfig("y", hidden, loss("sparse_categorical_crossentropy"))
    assert any("1e-07" in text for text in expressions(program(lower(b.network(output)), "train_step")))


def test_both_forms_of_a_crossentropy_agree() -> None:
    x, target = np.random.default_rng(1).normal(size=(6, 4)), np.array([0, 1, 2, 3, 0, 1])
    found = []
    for hide in (False, True):
        b = NetworkBuilder()
        value = b.layer("soft", "softmax", b.input("x", batch_of(4)))
        value = b.layer("same", "linear", value) if hide else value
        programs = lower(b.network(OutputConfig("y", value, loss("sparse_categorical_crossentropy"))))
        found.append(float(run(programs, "evaluate_step", {"x": x, "target.y": target})[0]["loss"]))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_figures_of_two_batches_are_those_of_all_samples() -> None:
    rng = np.random.default_rng(2)
    x, target = rng.normal(size=(7, 4)), rng.integers(0, 3, 7)
    programs = classifier()
    whole, after = run(programs, "evaluate_step", {"x": x, "target.digit": target})
    _, half = run(programs, "evaluate_step", {"x": x[:4], "target.digit": target[:4]})
    _, parts = run(programs, "evaluate_step", {"x": x[4:], "target.digit": target[4:]}, **half)
    for term in programs.terms:
        assert figure(term, parts, 7) == pytest.approx(figure(term, after, 7), rel=1e-6)
    assert figure(programs.terms[0], after, 7) == pytest.approx(float(whole["digit.loss"]), rel=1e-12)
    prediction = run(programs, "predict", {"x": x})[0]["prediction.digit"]
    assert figure(programs.terms[1], after, 7) == pytest.approx(np.mean(prediction.argmax(axis=1) == target))


def test_the_total_is_the_weighted_sum_of_losses_and_the_regularizers() -> None:
    b = NetworkBuilder()
    hidden = b.layer("hidden", "Dense", b.input("x", batch_of(4)), units=3, kernel_regularizer=L2)
    aux = b.layer("extra", "Dense", hidden, units=1)
    outputs = OutputConfig("main", hidden, loss("mse"), 0.9), OutputConfig("aux", aux, loss("mae"), 0.1)
    programs = lower(b.network(*outputs))
    rng = np.random.default_rng(3)
    targets = {"target.main": rng.normal(size=(5, 3)), "target.aux": rng.normal(size=(5, 1))}
    feeds = {"x": rng.normal(size=(5, 4)), **targets}
    results, after = run(programs, "evaluate_step", feeds)
    assert [(t.name, t.kind, t.weight) for t in programs.terms] == [
        ("main.loss", "loss", 0.9),
        ("aux.loss", "loss", 0.1),
        ("hidden.kernel_regularizer", "regularizer", 1.0),
    ]
    assert results["loss"].dtype == np.float64
    parts = 0.9 * results["main.loss"] + 0.1 * results["aux.loss"] + results["hidden.kernel_regularizer"]
    assert float(results["loss"]) == pytest.approx(float(parts), rel=1e-14)
    assert sum(t.weight * figure(t, after, 5) for t in programs.terms) == pytest.approx(float(parts), rel=1e-12)
    assert float(results["hidden.kernel_regularizer"]) == pytest.approx(
        0.01 * float(np.sum(after["hidden.kernel"].astype(np.float64) ** 2)), rel=1e-6
    )


@pytest.mark.parametrize("kind", ["class", "one_hot", "yes_or_no"])
def test_class_weights_multiply_and_the_division_stays_by_rows(kind: str) -> None:
    x, labels = np.random.default_rng(4).normal(size=(6, 4)), np.array([0, 1, 1, 0, 1, 0])
    name = {"class": "sparse_categorical_crossentropy", "one_hot": "categorical_crossentropy"}.get(kind, "mse")
    target = {"class": labels, "one_hot": np.eye(2)[labels]}.get(kind, labels[:, None].astype(float))

    def total(rows: np.ndarray, weights: tuple[float, ...] | None) -> float:
        b = NetworkBuilder()
        units = 1 if kind == "yes_or_no" else 2
        activation = Choice("sigmoid" if units == 1 else "softmax")
        value = b.layer("y", "Dense", b.input("x", batch_of(4)), units=units, activation=activation)
        programs = lower(b.network(OutputConfig("y", value, loss(name), class_weight=weights)))
        return float(run(programs, "evaluate_step", {"x": x[rows], "target.y": target[rows]})[0]["loss"])

    zeros, ones = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    expected = (3.0 * 3 * total(zeros, None) + 0.5 * 3 * total(ones, None)) / 6
    assert total(np.arange(6), (3.0, 0.5)) == pytest.approx(expected, rel=1e-6)


def test_a_scalar_per_sample_is_averaged_over_samples_not_over_its_only_axis() -> None:
    b = NetworkBuilder()
    value = b.layer("y", "tanh", b.input("x", batch_of()))
    programs = lower(b.network(OutputConfig("y", value, loss("mse"), metrics=(Choice("mae"),))))
    x, target = np.array([0.1, -2.0, 3.0]), np.array([1.0, 0.0, 0.5])
    results, after = run(programs, "evaluate_step", {"x": x, "target.y": target})
    assert float(results["loss"]) == pytest.approx(np.mean((np.tanh(x) - target) ** 2), rel=1e-6)
    assert figure(programs.terms[1], after, 3) == pytest.approx(np.mean(abs(np.tanh(x) - target)), rel=1e-6)


def test_a_loss_over_positions_is_their_mean() -> None:
    b = NetworkBuilder()
    value = b.layer("y", "Reshape", b.input("x", batch_of(6)), target_shape=(2, 3))
    programs = lower(b.network(OutputConfig("y", value, loss("mse"), metrics=(Choice("mse"),))))
    rng = np.random.default_rng(6)
    x, target = rng.normal(size=(4, 6)), rng.normal(size=(4, 2, 3))
    results, after = run(programs, "evaluate_step", {"x": x, "target.y": target})
    expected = np.mean((x.reshape(4, 2, 3) - target) ** 2)
    assert float(results["loss"]) == pytest.approx(expected, rel=1e-6)
    for term in programs.terms:
        assert figure(term, after, 4) == pytest.approx(expected, rel=1e-6)


# --- what differs between training and use --------------------------------------------------------------------------
def test_only_training_draws_random_numbers_and_moves_statistics() -> None:
    b = NetworkBuilder()
    value = b.layer("norm", "BatchNormalization", b.input("x", batch_of(3)))
    value = b.layer("drop", "Dropout", value, rate=0.5)
    programs = simplify(lower(b.network(OutputConfig("y", value, loss("mse")))))
    ops = {g.program: {node.op for node in g.nodes} for g in programs.graphs}
    targets = {g.program: {t for u in g.updates for t in u.targets} for g in programs.graphs}
    assert "random" in ops["train_step"]
    assert "random" not in ops["evaluate_step"] | ops["predict"]
    assert "norm.moving_mean" in targets["train_step"]
    assert "norm.moving_mean" not in targets["evaluate_step"] | targets["predict"]


def test_two_dropouts_draw_different_masks() -> None:
    b = NetworkBuilder()
    x = b.input("x", batch_of(50))
    one, two = b.layer("one", "Dropout", x, rate=0.5), b.layer("two", "Dropout", x, rate=0.5)
    value = b.layer("y", "Subtract", one, two)
    programs = lower(b.network(OutputConfig("y", value, loss("mse"))))
    results, _ = run(programs, "train_step", {"x": np.ones((2, 50)), "target.y": np.zeros((2, 50))})
    assert float(results["loss"]) > 0.5


def test_a_shared_normalization_moves_its_statistics_once_per_use() -> None:
    b = NetworkBuilder()
    left, right = b.input("left", batch_of(2)), b.input("right", batch_of(2))
    one = b.layer("one", "BatchNormalization", left, weights_of="norm", momentum=0.75)
    two = b.layer("two", "BatchNormalization", right, weights_of="norm", momentum=0.75)
    value = b.layer("y", "Add", one, two)
    programs = lower(b.network(OutputConfig("y", value, loss("mse"))))
    verify_programs(programs)
    rng = np.random.default_rng(5)
    feeds = {"left": rng.normal(size=(9, 2)), "right": rng.normal(size=(9, 2)), "target.y": np.zeros((9, 2))}
    start = np.array([1.0, 2.0], np.float32)
    _, after = run(programs, "train_step", feeds, **{"norm.moving_mean": start})
    once = 0.75 * start + 0.25 * feeds["left"].mean(axis=0)
    np.testing.assert_allclose(after["norm.moving_mean"], 0.75 * once + 0.25 * feeds["right"].mean(axis=0), rtol=1e-5)


# --- statistics learned from the data -------------------------------------------------------------------------------
def adapt(programs: Programs, feeds: dict[str, Any]) -> dict[str, Any]:
    """What the trainer does: two passes for each depth, in two batches."""
    rows = len(next(iter(feeds.values())))
    values = values_for({v.name: v for v in programs.variables}, np.random.default_rng(0))
    graph = program(programs, "adapt_step")
    for a in programs.adaptations:
        for total, statistic in ((a.mean_sum, a.mean), (a.variance_sum, a.variance)):
            values |= {name: np.zeros_like(value) for name, value in values.items() if name.startswith("sum.")}
            for part in (slice(0, 3), slice(3, rows)):
                batch = {name: array[part] for name, array in feeds.items()}
                _, values = evaluate(graph, batch, values, 0, len(next(iter(batch.values()))))
            values[statistic] = (values[total] / (rows * a.elements_per_row)).astype(values[statistic].dtype)
    return values


@pytest.mark.parametrize(("axis", "shape"), [(-1, (4,)), (-1, (3, 4)), (None, (3, 4))])
def test_statistics_are_those_of_the_training_data(axis: int | None, shape: tuple[int, ...]) -> None:
    b = NetworkBuilder()
    value = b.layer("norm", "Normalize", b.input("x", batch_of(*shape)), axis=axis)
    programs = lower(b.network(OutputConfig("y", value, loss("mse"))))
    verify_programs(programs)
    x = np.random.default_rng(1).normal(3.0, 2.0, (8, *shape)).astype(np.float32)
    values = adapt(programs, {"x": x})
    axes = tuple(range(x.ndim)) if axis is None else tuple(range(x.ndim - 1))
    np.testing.assert_allclose(values["norm.mean"], x.mean(axis=axes), rtol=1e-5)
    np.testing.assert_allclose(values["norm.variance"], x.var(axis=axes), rtol=1e-5)


def test_statistics_behind_others_are_learned_after_them() -> None:
    b = NetworkBuilder()
    first = b.layer("first", "Normalize", b.input("x", batch_of(2)))
    second = b.layer("second", "Normalize", b.layer("grown", "exponential", first))
    programs = lower(b.network(OutputConfig("y", second, loss("mse"))))
    assert [(a.layer, a.depth) for a in programs.adaptations] == [("first", 0), ("second", 1)]
    x = np.random.default_rng(1).normal(3.0, 2.0, (8, 2))
    values = adapt(programs, {"x": x})
    grown = np.exp((x - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_allclose(values["second.mean"], grown.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(values["second.variance"], grown.var(axis=0), rtol=1e-4)


def test_statistics_of_a_shared_layer_are_those_of_all_its_inputs() -> None:
    b = NetworkBuilder()
    one = b.layer("one", "Normalize", b.input("left", batch_of(2)), weights_of="norm")
    two = b.layer("two", "Normalize", b.input("right", batch_of(2)), weights_of="norm")
    value = b.layer("y", "Add", one, two)
    programs = lower(b.network(OutputConfig("y", value, loss("mse"))))
    rng = np.random.default_rng(1)
    feeds = {"left": rng.normal(size=(6, 2)), "right": rng.normal(5.0, size=(6, 2))}
    values = adapt(programs, feeds)
    both = np.concatenate([feeds["left"], feeds["right"]])
    np.testing.assert_allclose(values["norm.mean"], both.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(values["norm.variance"], both.var(axis=0), rtol=1e-5)


def test_given_statistics_need_no_program_to_learn_them() -> None:
    b = NetworkBuilder()
    value = b.layer("norm", "Normalize", b.input("x", batch_of(2)), mean=(1.0, 2.0), variance=(4.0, 1.0))
    programs = lower(b.network(OutputConfig("y", value, loss("mse"))))
    assert "adapt_step" not in {graph.program for graph in programs.graphs}
    assert run(programs, "predict", {"x": np.array([[3.0, 5.0]])})[0]["prediction.y"].tolist() == [[1.0, 3.0]]


def test_every_node_says_which_layer_asked_for_it() -> None:
    programs = simplify(classifier())
    assert {node.origin for node in program(programs, "predict").nodes} == {"x", "hidden"}
    assert all(isinstance(term.finish, Expr) for term in programs.terms)
