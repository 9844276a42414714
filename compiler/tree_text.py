"""A syntax tree as indented text, one node per line, for `--emit ast`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from nnc.grammar.source import SourceFile, Span


def tree_text(node: object) -> str:
    """Each node's class and plain fields on one line, the nodes below it indented; places in the text are left out."""
    lines: list[str] = []
    pending: list[tuple[int, str, object]] = [(0, "", node)]
    while pending:
        depth, label, item = pending.pop()
        plain, below = _fields(item)
        lines.append(f"{'  ' * depth}{label}{type(item).__name__}{''.join(f' {k}={v!r}' for k, v in plain)}")
        pending += [(depth + 1, name, child) for name, child in reversed(below)]
    return "\n".join(lines)


def _fields(node: object) -> tuple[list[tuple[str, object]], list[tuple[str, object]]]:
    """Plain values, and nodes with the field they stand in."""
    plain: list[tuple[str, object]] = []
    below: list[tuple[str, object]] = []
    assert is_dataclass(node)
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Span | SourceFile) or value is None or value == ():
            continue
        if is_dataclass(value):
            below.append((f"{field.name}: ", value))
        elif isinstance(value, tuple) and any(is_dataclass(item) for item in value):
            for item in value:
                below.append((f"{field.name}: ", item) if is_dataclass(item) else (field.name, item))
        else:
            plain.append((field.name, value))
    return plain, below
