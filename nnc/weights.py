"""A model's weights as a mapping: read, assign one, or assign many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from nnc.compiler.types import TensorType
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.suggest import nearest
from nnc.runtime.protocol import Array, Session

_SHOWN = frozenset({"weight", "statistic"})


class Prepared(Protocol):
    """What has weights: its session may become another in the course of its training, with the same weights."""

    @property
    def session(self) -> Session:
        """What holds the weights now."""


class Weights(Mapping[str, Array]):
    """`weights["hidden.kernel"]` is a copy; assigning to it changes the model.

    Holds what training or adaptation has learned: kernels, biases, moving averages, Normalize's statistics.
    """

    def __init__(self, model: Prepared, lock: AbstractContextManager[Any] | None = None) -> None:
        """`lock` is held for every reading and writing, so that no half-trained weights are seen."""
        self._model = model
        self._lock: AbstractContextManager[Any] = nullcontext() if lock is None else lock
        self._types: dict[str, TensorType] = {
            variable.name: variable.type for variable, _ in model.session.plan.variables if variable.role in _SHOWN
        }

    def __getitem__(self, name: str) -> Array:
        self._refuse_unknown(name)
        with self._lock:
            return self._model.session.read(name)

    def __setitem__(self, name: str, value: Any) -> None:
        """Raises: UsageError E0820 (no such weight), E0821 (another shape, or no finite numbers)."""
        self._refuse_unknown(name)
        fitted = self._fitted(name, value)
        with self._lock:
            self._model.session.write(name, fitted)

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return "Weights(" + ", ".join(f"{name}: {type}" for name, type in self._types.items()) + ")"

    def update(self, values: Mapping[str, Any]) -> None:
        """Assign several; all are checked before the first is written. Raises as `__setitem__` does."""
        problems: list[Diagnostic] = []
        fitted = {}
        for name, value in values.items():
            try:
                self._refuse_unknown(name)
                fitted[name] = self._fitted(name, value)
            except UsageError as error:
                problems += error.diagnostics
        if problems:
            raise UsageError(*problems)
        with self._lock:
            for name, array in fitted.items():
                self._model.session.write(name, array)

    def _refuse_unknown(self, name: str) -> None:
        if name in self._types:
            return
        near = nearest(str(name), tuple(self._types))
        helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
        notes = (f"there are {', '.join(f'`{word}`' for word in self._types)}",)
        raise UsageError(Diagnostic("E0820", f"the model has no weight `{name}`", notes=notes, helps=helps))

    def _fitted(self, name: str, value: Any) -> Array:
        type = self._types[name]
        try:
            array = np.asarray(value, type.dtype)
        except (TypeError, ValueError):
            raise UsageError(Diagnostic("E0821", f"`{name}` needs numbers", notes=(f"expected {type}",))) from None
        if array.shape != type.concrete(0):
            text = f"weight `{name}` has another shape"
            raise UsageError(Diagnostic("E0821", text, notes=(f"expected {type}, found {list(array.shape)}",)))
        if not np.all(np.isfinite(array)):
            raise UsageError(Diagnostic("E0821", f"weight `{name}` would hold NaN or infinity"))
        return np.asarray(array, order="C")
