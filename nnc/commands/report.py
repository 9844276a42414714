"""What an evaluation gave, as a table for people and as values for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nnc.runtime.metrics import Figure, Report
    from nnc.runtime.protocol import Array

_WIDEST: Final = 40    # classes of a matrix that nobody asked for


def report_table(report: Report) -> str:
    """A line per term: its value, and for what is part of the total its weight and share; the total; the matrices."""
    from nnc.runtime.progress import number_text

    lines = [("", "value", "weight", "weighted")]
    lines += [_term_line(figure) for figure in report.terms]
    lines.append(("total", "", "", number_text(report.total)))
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    figures = "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in (1, 2, 3))]).rstrip() for line in lines
    )
    return "\n\n".join([figures, *(_matrix(name, table) for name, table in report.tables.items())])


def confusion_text(name: str, matrix: Array, names: Sequence[str] = ()) -> str:
    """The confusion matrix of an output, or of each of its yes/no units, whose `names` stand before them."""
    if matrix.ndim == 2:
        return _matrix(name, matrix) if len(matrix) <= _WIDEST else f"{name}: {len(matrix)} classes, too many to print"
    from nnc.runtime.confusion import unit_name

    cells: list[tuple[str, ...]] = [
        ("unit", "true negatives", "false positives", "false negatives", "true positives"),
        *((unit_name(names, unit), *map(str, table.reshape(-1))) for unit, table in enumerate(matrix)),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])
        for first, *rest in cells
    ]
    return "\n".join([f"{name} (each unit for itself: yes or no)", *lines])


def _matrix(name: str, table: Array) -> str:
    """A confusion matrix: a row for each true class, a column for each class it was taken for."""
    cells = [["", *map(str, range(len(table)))], *([str(k), *map(str, row)] for k, row in enumerate(table))]
    width = max(len(cell) for line in cells for cell in line)
    lines = ["  ".join(cell.rjust(width) for cell in line) for line in cells]
    return "\n".join([f"{name} (rows: the true class, columns: the class it was taken for)", *lines])


def _term_line(figure: Figure) -> tuple[str, str, str, str]:
    from nnc.runtime.progress import number_text

    if figure.kind == "metric":
        return (figure.name, number_text(figure.value), "", "")
    return (figure.name, number_text(figure.value), f"{figure.weight:g}", number_text(figure.weight * figure.value))


def report_json(report: Report) -> dict[str, Any]:
    """The same for a script."""
    return {
        "samples": report.rows,
        "total": report.total,
        "terms": [
            {"name": f.name, "kind": f.kind, "output": f.output, "weight": f.weight, "value": f.value}
            for f in report.terms
        ],
        "tables": {name: table.tolist() for name, table in report.tables.items()},
    }
