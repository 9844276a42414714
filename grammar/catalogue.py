"""Every error code: its title and the long explanation that `nnc explain CODE` prints.

Ranges: E01 syntax, E02 shapes and dtypes, E03 names and structure, E04 hyperparameters and constants, E05 outputs,
losses and metrics, E06 training, E07 data, E08 command line and Python calls, E09 plans, model files and budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """A title in a few lower-case words; a text that says why it is an error and shows a wrong and a right example."""

    title: str
    text: str


CATALOGUE: Final[dict[str, Explanation]] = {
    # --- E01 syntax
    # --- E02 shapes and dtypes
    # --- E03 names and structure
    # --- E04 hyperparameters and constants
    # --- E05 outputs, losses and metrics
    # --- E06 training
    # --- E07 data
    # --- E08 command line and Python calls
    # --- E09 plans, model files and budgets
}
