"""What `Model.predict` calls, and what `Model.predictor` gives: quick where the runtime has compiled code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Plan
from nnc.runtime import modelfile
from nnc.runtime.data import from_arrays
from nnc.runtime.data.encoding import from_texts
from nnc.runtime.predictor import Audit, Handle, Predictor
from nnc.runtime.protocol import Array, PredictingSession, Runtime, Session

Vocabularies = Mapping[str, Sequence[str]]


class LiveHandle:
    """Predicts with the weights that a session has at each call; nothing may change them meanwhile.

    Kept from call to call while session and vocabularies are the same objects. A pickle or a copy of it is empty.
    """

    def __init__(self) -> None:
        self._session: Session | None = None
        self._vocabularies: Vocabularies = {}
        self._handle: Handle | None = None

    def __reduce__(self) -> tuple[type[LiveHandle], tuple[()]]:
        return LiveHandle, ()

    def predict(self, session: Session, outputs: Iterable[OutputConfig], vocabularies: Vocabularies, x: Any) -> Any:
        """What `session` predicts for `x`."""
        if session is not self._session or vocabularies is not self._vocabularies:
            audit = _audit(session.plan, tuple(outputs), vocabularies)
            if isinstance(session, PredictingSession):
                self._handle = session.predictor(audit, is_live=True)
            else:
                self._handle = Predictor(session, audit)
            self._session, self._vocabularies = session, vocabularies
        assert self._handle is not None
        return self._handle(x)


def lasting_handle(
    session: Session, runtime: Runtime, outputs: Iterable[OutputConfig], vocabularies: Vocabularies
) -> Handle:
    """Predicts with the weights that a session has now, whatever becomes of it. runtime: the session's own."""
    audit = _audit(session.plan, tuple(outputs), {name: tuple(texts) for name, texts in vocabularies.items()})
    if isinstance(session, PredictingSession):
        return session.predictor(audit)
    copy = runtime.prepare(session.plan)
    modelfile.write_variables(copy, modelfile.variables_of(session))
    return Predictor(copy, audit)


def _audit(plan: Plan, outputs: tuple[OutputConfig, ...], vocabularies: Vocabularies) -> Audit:
    def audit(x: Any) -> dict[str, Array]:
        samples = from_arrays(plan, outputs, x, needs_targets=False, encodings=from_texts(vocabularies))
        feeds: dict[str, Any] = dict(samples.feeds)
        assert all(len(feed) == len(samples) for feed in feeds.values()), "arrays are predicted row by row"
        return feeds

    return audit
