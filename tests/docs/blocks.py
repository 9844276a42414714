"""Fenced code blocks of a Markdown page, and the changes that docs/extending.md shows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def blocks(page: Path, language: str) -> list[str]:
    """The text of every block of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def apply(change: str, tree: Path) -> Path:
    """Apply one change to the file it names under `tree`; what it replaces must stand there exactly once."""
    head, _, body = change.partition("\n+++ ")
    target = tree / head.removeprefix("--- ").strip()
    lines = body.splitlines()[1:]
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    text = target.read_text("utf-8")
    assert text.count(before) == 1, f"{target.name} has this {text.count(before)} times:\n{before}"
    target.write_text(text.replace(before, after), encoding="utf-8")
    return target
