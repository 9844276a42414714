"""Learning curves of a history, drawn with matplotlib. Needs the optional extra `plot`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError, missing_package

from .whole_file import write_whole

if TYPE_CHECKING:
    from .history import History

_VALIDATION: Final = "val_"
_COLUMNS: Final = 3
_WIDTH, _HEIGHT = 4.2, 3.2     # inches of one pair of axes


def draw(history: History) -> Any:
    """A matplotlib `Figure`: one pair of axes per figure, its training and its validation curve in each.

    Made without pyplot, so it belongs to nobody but the caller and needs no display.
    Raises: MissingPackageError E0824; UsageError E0822 for a history without epochs.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise missing_package("a plot", "matplotlib", "plot") from error
    if not len(history):
        raise UsageError(Diagnostic("E0822", "there is nothing to plot: the history has no epochs"))
    columns = history.columns()
    names = list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in history.names()))
    names = [name for name in names if not (name.endswith(".loss") and columns.get(name) == columns.get("loss"))]
    width = min(len(names), _COLUMNS)
    height = -(-len(names) // width)
    figure: Any = Figure(figsize=(_WIDTH * width, _HEIGHT * height), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(height, width, place)
        for label, key in (("training", name), ("validation", _VALIDATION + name)):
            if key in columns:
                axes.plot(columns["epoch"], columns[key], label=label, marker="." if len(history) < 30 else "")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def write(figure: Any, path: str | Path) -> None:
    """Save a figure as `path`'s ending says: `.png`, `.svg`, `.pdf`; whole or not at all. Raises: UsageError E0807."""
    content = io.BytesIO()
    try:
        figure.savefig(content, format=Path(path).suffix.removeprefix(".") or "no ending")
    except ValueError:
        endings = ", ".join(f"`.{ending}`" for ending in sorted(figure.canvas.get_supported_filetypes()))
        text = f"cannot write `{path}`: its ending names no format"
        raise UsageError(Diagnostic("E0807", text, notes=(f"there are {endings}",))) from None
    write_whole(Path(path), content.getvalue())
