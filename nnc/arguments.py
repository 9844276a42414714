"""What `Model.fit` is given beside the samples, checked."""

from __future__ import annotations

import dataclasses
from typing import Any

from nnc.compiler.options import Split
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.runtime.data import Samples
from nnc.runtime.data.order import split_rows


def held_out(training: Samples, validation: Samples | None, share: float, seed: int) -> tuple[Samples, Samples]:
    """Part of the rows for training, the rest for validation, the same in every call with one seed.

    Raises: UsageError E0822 beside validation data, for no share, and for one that leaves a part without rows.
    """
    if validation is not None:
        raise UsageError(Diagnostic("E0822", "`validation_split` has no place beside validation data"))
    if not isinstance(share, int | float) or not 0 < share < 1:
        note = "expected a share of the rows, such as 0.2"
        raise UsageError(Diagnostic("E0822", f"`validation_split` is {share!r}", notes=(note,)))
    kept, apart, _ = split_rows(len(training), Split(validation=share, seed=seed))
    if not len(kept) or not len(apart):
        note = f"it leaves {len(kept)} rows to train on and {len(apart)} to validate with"
        raise UsageError(Diagnostic("E0822", f"`validation_split` is {share!r}", notes=(note,)))
    first, second = (dataclasses.replace(training, index=training.index[rows]) for rows in (kept, apart))
    return first, second


def validation_weights(validation_data: Any) -> Any:
    """What `validation_data` gives as sample weights. Raises: UsageError E0822 for neither a pair nor a triple."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
        text = "`validation_data` is (x, y), or (x, y, sample_weight)"
        raise UsageError(Diagnostic("E0822", text))
    return validation_data[2] if len(validation_data) == 3 else None


def at_least_one(epochs: int) -> int:
    """`epochs`, if that is a number of them. Raises: UsageError E0822."""
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        note = "expected a whole number of at least 1"
        raise UsageError(Diagnostic("E0822", f"`epochs` is {epochs!r}", notes=(note,)))
    return epochs
