"""Whether there is something to train, and whether what training watches is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nnc.grammar.suggest import nearest

from ..formulas.metrics import figure_name
from ..layers.definition import Weight
from ..network import Network
from ..options import Choice
from ..report import fault, listed, suggestion


def check_training(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> None:
    """Raises E0515 or E0516 where a `train` section has nothing to do."""
    span = network.span_of("train")
    if span is None:
        return
    if all(output.loss is None for output in network.outputs):
        labels = [(place, "has no `loss`") for place in (network.span_of(o.name) for o in network.outputs) if place]
        raise fault(
            "E0515",
            "there is nothing to train: no output has a loss",
            span,
            labels=labels,
            helps=["give an output a loss: `{ loss = mse }`"],
        )
    for layer in network.layers():
        owned = weights.get(layer.weights_of, ())
        if any(w.role == "weight" for w in owned) and dict(layer.arguments).get("trainable", True):
            return
    raise fault(
        "E0516",
        "there is nothing to train: no layer has weights that may change",
        span,
        helps=["add a layer with weights, such as `Dense`, or leave `train` out"],
    )


def watching(network: Network) -> list[tuple[str, Choice]]:
    """The choices of `train` that watch a figure, with the key of their place."""
    rate = dict(network.train.optimizer.arguments).get("learning_rate")
    found = [("train.early_stopping", network.train.early_stopping), ("train.optimizer", rate)]
    found += [("train.checkpoint", choice) for choice in network.train.checkpoint]
    return [
        (key, choice) for key, choice in found if isinstance(choice, Choice) and "monitor" in dict(choice.arguments)
    ]


def check_monitor(network: Network, key: str, monitor: str) -> None:
    """The figure is one that training reports; a metric may stand without its output where one output has it.

    It may be called by any of its names (`f1`, `f1_score`). Raises: NncError E0691.
    """
    bare, span = figure_name(monitor.removeprefix("val_")), network.span_of(f"{key}.monitor") or network.span_of(key)
    figures = [f"{o.name}.loss" for o in network.outputs if o.loss] + [
        f"{o.name}.{metric.name}" for o in network.outputs for metric in o.metrics
    ]
    matches = [figure for figure in figures if figure.endswith(f".{bare}")]
    if span is None or bare == "loss" or bare in figures or len(matches) == 1 or bare.endswith("_regularizer"):
        return
    prefix = "val_" if monitor.startswith("val_") else ""
    if matches:
        raise fault(
            "E0691",
            f"`{monitor}` could be several figures",
            span,
            f"expects one of {listed((prefix + match for match in matches), 'or')}",
            helps=[f'say which, in quotes: `monitor = "{prefix}{matches[0]}"`'],
        )
    short = Counter(figure.rpartition(".")[2] for figure in figures)
    names = [*(name for name, count in short.items() if count == 1), *figures]
    known = ["loss", "val_loss", *(before + name for before in ("", "val_") for name in names)]
    reported = ["loss", *figures]
    raise fault(
        "E0691",
        f"training reports no figure `{monitor}`",
        span,
        "not known",
        helps=suggestion(f'"{name}"' if "." in name else name for name in nearest(monitor, dict.fromkeys(known))),
        notes=[
            f"it reports {listed(reported)}",
            f"and of validation data {listed(f'val_{figure}' for figure in reported)}",
        ],
    )
