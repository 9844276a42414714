"""What the catalogue says of one error code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """A title in a few lower-case words; a text that says why it is an error and shows a wrong and a right example."""

    title: str
    text: str
