"""Learning curves of a history, drawn with matplotlib. Needs the optional extra `plot`."""

from __future__ import annotations

import io
import re
import warnings
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
        if len(history) == 1:    # around one epoch there would be fractions of epochs on either side
            axes.set_xticks(columns["epoch"])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def write(figure: Any, path: str | Path) -> str:
    """Save a figure as `path`'s ending says: `.png`, `.svg`, `.pdf`; whole or not at all. Raises: UsageError E0807.

    Gives the characters that its font has no glyphs for, which are drawn as boxes.
    """
    ending, known = Path(path).suffix.removeprefix(".").lower(), sorted(figure.canvas.get_supported_filetypes())
    if ending not in known:
        text = f"cannot write `{path}`: its ending names no format"
        endings = ", ".join(f"`.{name}`" for name in known)
        raise UsageError(Diagnostic("E0807", text, notes=(f"there are {endings}",)))
    content = io.BytesIO()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        figure.savefig(content, format=ending)
    write_whole(Path(path), content.getvalue())
    lacking = (re.match(r"Glyph (\d+) .* missing from", str(warning.message)) for warning in warned)
    return "".join(dict.fromkeys(chr(int(match[1])) for match in lacking if match))
