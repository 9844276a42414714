"""The braces of an output and of `train`: entries bound like arguments, with every default filled in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.source import Span

from ..layers.definition import Hyperparameter
from ..options import PRECISIONS, Choice, CompileOptions, OutputConfig, TrainConfig, Value
from ..report import did_you_mean, fault, listed
from ..tables import default_choice
from .arguments import READERS, bind, choose, wrong_kind
from .binding import Bound, Reader, read
from .binding import bind as bind_with
from .constants import evaluate, text_of
from .scope import Scope

DEFAULT_OPTIMIZER: Final = "rmsprop"  # Keras's compile()

OUTPUT: Final = (
    Hyperparameter("loss", "loss", None, optional=True),
    Hyperparameter("weight", "float", 1.0),
    Hyperparameter("class_weight", "class_weight", None, optional=True),
    Hyperparameter("metrics", "metrics", ()),
    Hyperparameter("target", "word", None, optional=True),
    Hyperparameter("sample_weight", "word", None, optional=True),
)
TRAIN: Final = (
    Hyperparameter("optimizer", "optimizer", Choice(DEFAULT_OPTIMIZER)),
    Hyperparameter("batch_size", "batch_size", 32),
    Hyperparameter("epochs", "int", 1),
    Hyperparameter("shuffle", "bool", True),
    Hyperparameter("seed", "integer", 0),
    Hyperparameter("clip_norm", "float", None, optional=True),
    Hyperparameter("clip_value", "float", None, optional=True),
    Hyperparameter("early_stopping", "early_stopping", None, optional=True),
    Hyperparameter("checkpoint", "checkpoint", ()),
    Hyperparameter("precision", "precision", "float32"),
    Hyperparameter("accumulate", "int", 1),
    Hyperparameter("ema", "float", None, optional=True),
)
EARLY_STOPPING: Final = (
    Hyperparameter("monitor", "word", "val_loss"),
    Hyperparameter("patience", "integer", 0),
    Hyperparameter("min_delta", "float", 0.0),
    Hyperparameter("restore_best", "bool", False, alias="restore_best_weights"),
)
CHECKPOINT: Final = {
    "every": (
        Hyperparameter("epochs", "int", None, optional=True),
        Hyperparameter("steps", "int", None, optional=True),
    ),
    "best": (Hyperparameter("monitor", "word", "val_loss"), Hyperparameter("min_delta", "float", 0.0)),
}


def output_config(statement: syntax.Output, layer: str, scope: Scope) -> tuple[OutputConfig, dict[str, Span]]:
    """What an output is judged by, and where each of its entries is written."""
    name = statement.name.name
    values: dict[str, Any] = dict(_entries("output", OUTPUT, statement.entries, scope, statement.name.span, "E0501"))
    spans = {f"{name}.{entry.name.name}": _place(entry) for entry in statement.entries}
    spans[name] = statement.name.span
    if values["loss"] is None:
        for entry in statement.entries:
            if entry.name.name in ("weight", "class_weight", "sample_weight", "metrics"):
                word = entry.name.name
                helps = [f"add a loss: `loss = mse`, or leave `{word}` out"]
                raise fault(
                    "E0505",
                    f"`{word}` needs a loss, and output `{name}` has none",
                    entry.name.span,
                    "without effect",
                    labels=[(statement.name.span, "has no `loss`")],
                    helps=helps,
                )
    for entry in statement.entries:
        if entry.name.name == "class_weight" and isinstance(entry.value, syntax.List):
            spans[f"{name}.class_weight[]"] = entry.value.span  # a list gives every class, a mapping only some
        elif entry.name.name == "metrics" and entry.value is not None:
            items = zip(values["metrics"], _items(entry.value), strict=True)
            spans |= {f"{name}.metrics.{metric.name}": item.span for metric, item in items}
    return OutputConfig(name, layer, **values), spans


def train_config(section: syntax.Section | None, scope: Scope, options: CompileOptions) -> TrainConfig:
    """The `train` section, or its defaults, under what the caller overrides."""
    entries = section.entries if section else ()
    place = section.keyword.span if section else None
    values: dict[str, Any]
    if place is None:
        values = {"optimizer": default_choice("optimizer", DEFAULT_OPTIMIZER)}
    else:
        values = dict(_entries("train", TRAIN, entries, scope, place, "E0601"))
        _check_schedule(values["optimizer"], next((e for e in entries if e.name.name == "optimizer"), None))
    for name in ("batch_size", "epochs", "seed"):
        if (override := getattr(options, name)) is not None:
            values[name] = override
    return TrainConfig(**values)


def _entries(
    owner: str,
    signature: tuple[Hyperparameter, ...],
    entries: Iterable[syntax.Entry],
    scope: Scope,
    place: Span,
    unknown: str,
) -> Bound:
    arguments = [
        syntax.Argument(entry.name, entry.value or syntax.Mapping((), _place(entry)), entry.span) for entry in entries
    ]
    return bind_with(owner, signature, arguments, scope, place, unknown, readers=_SECTION_READERS)


def _place(entry: syntax.Entry) -> Span:
    return entry.value.span if entry.value is not None else entry.span


def _check_schedule(optimizer: Choice, entry: syntax.Entry | None) -> None:
    rate = dict(optimizer.arguments).get("learning_rate")
    if entry is None or not isinstance(rate, Choice) or rate.name != "piecewise_constant":
        return
    boundaries, values = (v if isinstance(v, tuple) else (v,) for v in (rate["boundaries"], rate["values"]))
    if len(values) != len(boundaries) + 1:
        raise fault(
            "E0406",
            f"`piecewise_constant` has {len(boundaries)} boundaries but {len(values)} values",
            _place(entry),
            f"expects {len(boundaries) + 1} values",
        )


def _items(expression: syntax.Expression) -> tuple[syntax.Expression, ...]:
    return expression.items if isinstance(expression, syntax.List | syntax.Tuple) else (expression,)


# --- kinds that only sections have --------------------------------------------------------------------------------
def _read_metrics(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    found: dict[str, Span] = {}
    choices: list[Choice] = []
    faults: list[Diagnostic] = []
    for item in _items(expression):
        try:
            choice = choose("metric", item, scope)
        except NncError as error:
            faults += error.diagnostics
            continue
        if choice.name in found:
            faults += fault(
                "E0506",
                f"metric `{choice.name}` is listed twice",
                item.span,
                "again",
                labels=[(found[choice.name], "first here")],
            ).diagnostics
        found[choice.name] = item.span
        choices.append(choice)
    if faults:
        raise NncError(*faults)
    return tuple(choices)


def _read_class_weight(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """A list of one weight per class; or a mapping, in which a class that is not named weighs 1, as in Keras."""
    one = Hyperparameter("class_weight", "float")
    if isinstance(expression, syntax.List | syntax.Tuple):
        return tuple(read(owner, one, item, scope, READERS) for item in expression.items)
    if not isinstance(expression, syntax.Mapping) or not expression.items:
        raise wrong_kind(owner, parameter, expression, "this", "a weight per class: `{ 0: 1.0, 1: 2.5 }`")
    weights: dict[int, Value] = {}
    for key, value in expression.items:
        number = evaluate(key, scope)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1_000_000:
            raise fault(
                "E0405", f"a class is a whole number from 0, not {text_of(number)}", key.span, "expects a class number"
            )
        if number in weights:
            raise fault("E0404", f"class {number} is given twice", key.span, "given again")
        weights[number] = read(owner, one, value, scope, READERS)
    return tuple(weights.get(number, 1.0) for number in range(max(weights) + 1))


def _read_batch_size(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    if isinstance(expression, syntax.Name) and expression.name == "auto":
        return "auto"
    return READERS["int"](owner, parameter, expression, scope)


def _read_early_stopping(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    match expression:
        case syntax.Name(name="early_stopping"):
            arguments: tuple[syntax.Argument, ...] = ()
        case syntax.Call(callee=syntax.Name(name="early_stopping"), arguments=arguments):
            pass
        case _:
            raise wrong_kind(owner, parameter, expression, "this", "`early_stopping(patience = 5)`")
    return Choice("early_stopping", bind("early_stopping", EARLY_STOPPING, arguments, scope, expression.span))


def _read_checkpoint(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """`every(epochs = 5)`, `best(monitor = val_loss)`, or both in a list."""
    choices: dict[str, Choice] = {}
    for item in _items(expression):
        match item:
            case syntax.Name(name=word):
                arguments: tuple[syntax.Argument, ...] = ()
            case syntax.Call(callee=syntax.Name(name=word), arguments=arguments):
                pass
            case _:
                word = ""
        if word not in CHECKPOINT:
            expected = "`every(epochs = 5)`, `best(monitor = val_loss)` or both in a list"
            raise wrong_kind(owner, parameter, item, f"`{word}`" if word else "this", expected,
                             did_you_mean(word, CHECKPOINT))
        if word in choices:
            raise fault("E0404", f"`{word}` is given twice", item.span, "given again")
        choices[word] = Choice(word, bind(word, CHECKPOINT[word], arguments, scope, item.span))
        if word == "every" and all(value is None for _, value in choices[word].arguments):
            choices[word] = Choice("every", (("epochs", 1), ("steps", None)))
    return tuple(choices.values())


def _read_precision(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    word = READERS["word"](owner, parameter, expression, scope)
    if word not in PRECISIONS:
        raise fault(
            "E0604",
            f"this version does not train in {word}",
            expression.span,
            f"expects {listed(PRECISIONS, 'or')}",
            helps=["leave `precision` out; an input of type float64 makes the layers after it float64"],
        )
    return word


_SECTION_READERS: Final[dict[str, Reader]] = {
    **READERS,
    "metrics": _read_metrics,
    "class_weight": _read_class_weight,
    "batch_size": _read_batch_size,
    "early_stopping": _read_early_stopping,
    "checkpoint": _read_checkpoint,
    "precision": _read_precision,
}
