"""How a generated page is put together: its notice, tables, links to headings."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTICE = "<!-- Written by docs/generate.py. Change the table it comes from, then run that. -->"


def page(title: str, *paragraphs: str) -> str:
    return "\n\n".join([NOTICE, f"# {title}", *paragraphs]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fenced(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def anchor(heading: str) -> str:
    """What a link to the heading ends in: lower case, hyphens for spaces, no punctuation."""
    return "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
