"""Writes the reference pages that are lists: `python docs/generate.py`; with `--check` it only says which are stale.

layers, activations, losses, metrics, optimizers, initializers, commands and errors come from the tables that the
compiler itself reads, so a new entry is documented by being there; diagnostics-tour comes from the failing programs
of the tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path[:0] = [str(ROOT), str(DOCS)]

from diagnostics_tour import tour_page  # noqa: E402
from pages import page, table  # noqa: E402

from nnc.cli import build_parser  # noqa: E402
from nnc.compiler.emit.describe import value_text  # noqa: E402
from nnc.compiler.formulas.definition import REQUIRED  # noqa: E402
from nnc.compiler.layers import LAYERS  # noqa: E402
from nnc.compiler.layers.definition import Hyperparameter, LayerDef  # noqa: E402
from nnc.compiler.tables import TABLES  # noqa: E402
from nnc.grammar.catalogue import CATALOGUE  # noqa: E402
from nnc.usage import verbs  # noqa: E402

KINDS = {
    "int": "whole number from 1",
    "integer": "whole number",
    "float": "number",
    "rate": "number from 0 up to, not including, 1",
    "bool": "true or false",
    "axis": "axis",
    "shape": "shape",
    "activation": "activation",
    "initializer": "initializer",
    "regularizer": "regularizer",
    "floats": "number or list of numbers",
}


def call(name: str, defaults: Mapping[str, Any]) -> str:
    """`huber(delta = 1)`, as a spec writes it."""
    inside = [key if value == REQUIRED else f"{key} = {value_text(value)}" for key, value in defaults.items()]
    return f"`{name}({', '.join(inside)})`" if inside else f"`{name}`"


def other_names(aliases: Mapping[str, str], name: str) -> str:
    return ", ".join(f"`{alias}`" for alias, target in aliases.items() if target == name)


def choices(kind: str, *columns: tuple[str, Callable[[Any], str]]) -> str:
    """One formula table: its entries with their arguments, more columns, other names."""
    entries, aliases = TABLES[kind].entries, TABLES[kind].aliases
    head = ["name and defaults", *(title for title, _ in columns), "also called"]
    rows = (
        [call(name, getattr(entry, "defaults", {})), *(text(entry) for _, text in columns), other_names(aliases, name)]
        for name, entry in entries.items()
    )
    return table(head, rows)


def doc(entry: Any) -> str:
    return str(entry.doc)


def layers_page() -> str:
    families: dict[str, list[LayerDef]] = {}
    for layer in LAYERS.values():
        family = "activations" if layer.is_activation else layer.infer.__module__.rpartition(".")[2]
        families.setdefault(family, []).append(layer)
    parts = [
        "Layer names and arguments are Keras's. A layer without required arguments needs no parentheses. Arguments are"
        " positional in the order shown, or by name; those after `*` by name only.",
    ]
    for layer in LAYERS.values():
        if not layer.is_activation:
            parts += [f"## {layer.name}", layer.doc, inputs_text(layer), *layer_table(layer)]
    activations = [f"`{layer.name}`" for layer in families["activations"]]
    parts += [
        "## Activations as layers",
        f"Every [activation](activations.md) is a layer as well, as in `x -> relu`: {', '.join(activations)}.",
    ]
    return page("Layers", *parts)


def inputs_text(layer: LayerDef) -> str:
    if layer.max_inputs == layer.min_inputs:
        if layer.min_inputs == 1:
            return "Takes one input."
        return f"Takes {layer.min_inputs} inputs: `(a, b) -> {layer.name}`."
    most = "or more" if layer.max_inputs is None else f"to {layer.max_inputs}"
    return f"Takes {layer.min_inputs} {most} inputs: `(a, b) -> {layer.name}`."


def layer_table(layer: LayerDef) -> list[str]:
    if not layer.hyperparameters:
        return []
    rows = [
        [
            f"`{'* ' if parameter.keyword_only else ''}{parameter.name}`",
            kind_text(parameter),
            "required" if parameter.default == REQUIRED else f"`{value_text(parameter.default)}`",
            parameter.doc,
        ]
        for parameter in layer.hyperparameters
    ]
    return [table(["argument", "takes", "default", "meaning"], rows)]


def kind_text(parameter: Hyperparameter) -> str:
    if parameter.choices:
        return " or ".join(f"`{choice}`" for choice in parameter.choices)
    return KINDS[parameter.kind] + (" or `none`" if parameter.optional else "")


def losses_page() -> str:
    targets = {"like": "like the prediction", "class": "class number", "one_hot": "distribution over the classes"}
    columns = (("what", doc), ("target", lambda entry: targets[entry.target]), ("source", lambda entry: entry.source))
    return page(
        "Losses",
        "Named in an output: `output y = x -> Dense(1) { loss = huber(delta = 2) }`. A loss is the mean over the last"
        " axis, then over the samples. The total is the sum over outputs of `weight` times loss, plus regularizers.",
        choices("loss", *columns),
        "## Regularizers",
        "Given to a layer: `Dense(64, kernel_regularizer = l2(0.001))`. Reported as terms of their own.",
        choices("regularizer", ("what", doc)),
    )


def optimizers_page() -> str:
    return page(
        "Optimizers and schedules",
        "Named in `train`: `optimizer = adam(learning_rate = 0.002)`. Without one, `rmsprop` is used, as in Keras.",
        choices("optimizer", ("what", doc), ("source", lambda entry: entry.source)),
        "## Learning-rate schedules",
        "Any optimizer's `learning_rate` may be a schedule: `adam(learning_rate = cosine(0.01, decay_steps = 1000))`.",
        choices("schedule", ("what", doc)),
    )


def metrics_page() -> str:
    targets = {"like": "values", "class": "class numbers", "one_hot": "distributions"}
    column = ("targets", lambda entry: ", ".join(targets[target] for target in entry.targets))
    return page(
        "Metrics",
        "Named in an output: `metrics = [accuracy, top_k_accuracy(k = 3)]`. Metrics are reported, never trained on.",
        choices("metric", ("what", doc), column),
    )


def activations_page() -> str:
    text = "An argument of a layer, `Dense(64, relu)`, or a layer of its own, `x -> elu(alpha = 0.5)`."
    return page("Activations", text, choices("activation", ("what", doc)))


def initializers_page() -> str:
    text = "An argument of a layer: `Dense(64, kernel_initializer = he_normal)`. All draw from the seed of `train`."
    return page("Initializers", text, choices("initializer", ("what", doc)))


def commands_page() -> str:
    parser = build_parser()
    parser.formatter_class = WideHelp
    parts = [
        "Results go to stdout; progress, notes and errors to stderr. Exit codes: 0 fine, 1 the spec, 2 usage, 3 data,"
        " 4 a device or toolchain is missing, 5 training diverged, 6 a budget is exceeded, 70 a bug of nnc,"
        " 130 interrupted. Colour only on a terminal and never under `NO_COLOR`.",
        f"```text\n{parser.format_help().strip()}\n```",
    ]
    for name, verb in verbs(parser).items():
        verb.formatter_class = WideHelp
        parts += [f"## nnc {name}", f"```text\n{verb.format_help().strip()}\n```"]
    return page("Commands", *parts)


class WideHelp(argparse.HelpFormatter):
    """The same width on every terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=118, max_help_position=30)


def errors_page() -> str:
    parts = ["Every error has a code; `nnc explain CODE` prints what stands here."]
    for code, explanation in sorted(CATALOGUE.items()):
        parts += [f"## {code}: {explanation.title}", explanation.text.strip()]
    return page("Errors", *parts)


PAGES: dict[str, Callable[[], str]] = {
    "layers.md": layers_page,
    "activations.md": activations_page,
    "losses.md": losses_page,
    "metrics.md": metrics_page,
    "optimizers.md": optimizers_page,
    "initializers.md": initializers_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "diagnostics-tour.md": tour_page,
}


def stale_pages() -> list[str]:
    """Names of the pages whose text is not what the tables say."""
    found = {name: (DOCS / name).read_text("utf-8") if (DOCS / name).is_file() else "" for name in PAGES}
    return [name for name, make in PAGES.items() if make() != found[name]]


if __name__ == "__main__":
    stale = stale_pages()
    if sys.argv[1:] == ["--check"]:
        sys.stdout.write("".join(f"docs/{name} is stale\n" for name in stale))
        raise SystemExit(bool(stale))
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        sys.stdout.write(f"docs/{name} written\n")
