"""`nnc diff`: what changed between two specs or models, and which weights carry over."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nnc.grammar.diagnostics import NncError, UsageError

from . import models
from .console import result, result_json
from .sources import read_source

if TYPE_CHECKING:
    from nnc.compiler.emit.difference import Change, Weights
    from nnc.compiler.graph import Variable
    from nnc.compiler.network import Network
    from nnc.runtime.modelfile import SavedModel

NAME = "diff"
SUMMARY = "tell what differs between two specs or models, and which weights carry over"
FAULTY_SPEC = 1


@dataclass(frozen=True, slots=True)
class _Side:
    """A spec or a model: what it means, its variables, and the file where it is a model."""

    network: Network
    variables: tuple[Variable, ...]
    saved: SavedModel | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="BEFORE", help="a .nn file, a bundled spec's name, or a model")
    parser.add_argument("after", metavar="AFTER", help="the same")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")
    parser.epilog = "Exit codes as those of diff(1): 0 no difference, 1 differences, 2 and more trouble."


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.emit.difference import changes, weights

    try:
        before, after = _read(arguments.before), _read(arguments.after)
    except NncError as error:
        # 1 says that there are differences, so a spec that is at fault is trouble here
        raise UsageError(*error.diagnostics) if error.exit_code == FAULTY_SPEC else error from None
    found = changes(before.network, after.network)
    carried = weights(before.variables, after.variables)
    trained = _other_values(before, after, carried)
    is_equal = not (found or carried.reshaped or carried.gone or carried.new or trained)
    if arguments.json:
        result_json(_as_json(is_equal, found, carried, trained))
    else:
        result(_as_text(found, carried, trained))
    return 0 if is_equal else 1


def _read(name: str) -> _Side:
    from dataclasses import replace

    from nnc.compiler.pipeline import compile_source

    if models.is_model(name):
        model = models.open_model(name)
        variables = tuple(variable for variable, _ in model.saved.plan.variables)
        return _Side(replace(model.network(), train=model.saved.train), variables, model.saved)
    compiled = compile_source(read_source(name), stop_after="simplified")
    return _Side(compiled.network, compiled.simplified.variables)


def _other_values(before: _Side, after: _Side, carried: Weights) -> tuple[str, ...]:
    """Of two models, the weights that are in both with other numbers."""
    if before.saved is None or after.saved is None:
        return ()
    first, second = before.saved.variables, after.saved.variables
    return tuple(name for name in carried.carried if first[name].tobytes() != second[name].tobytes())


def _as_text(found: tuple[Change, ...], carried: Weights, trained: tuple[str, ...]) -> str:
    lines: list[str] = []
    for part in dict.fromkeys(change.part for change in found):
        lines += [part, *(_line(change) for change in found if change.part == part)]
    lines.append("weights")
    lines += [f"  ~ {name}: {before} -> {after}, does not carry over" for name, before, after in carried.reshaped]
    lines += [f"  - {name}" for name in carried.gone]
    lines += [f"  + {name}" for name in carried.new]
    lines += [f"  ~ {name}: other values" for name in trained]
    total = len(carried.carried) + len(carried.reshaped) + len(carried.new)
    lines.append(f"  {len(carried.carried)} of {total} carry over")
    return "\n".join(lines if found or len(lines) > 2 else ["no difference", *lines])


def _line(change: Change) -> str:
    if change.before is None:
        return f"  + {change.name}: {change.after}"
    if change.after is None:
        return f"  - {change.name}: {change.before}"
    return f"  ~ {change.name}: {change.before} -> {change.after}"


def _as_json(
    is_equal: bool, found: tuple[Change, ...], carried: Weights, trained: tuple[str, ...]
) -> dict[str, Any]:  # fmt: skip
    reshaped = [{"name": name, "before": str(old), "after": str(new)} for name, old, new in carried.reshaped]
    return {
        "equal": is_equal,
        "changes": [asdict(change) for change in found],
        "weights": {
            "carried": list(carried.carried),
            "reshaped": reshaped,
            "gone": list(carried.gone),
            "new": list(carried.new),
            "other_values": list(trained),
        },
    }
