"""The page diagnostics-tour.md: the most telling of the failing programs in tests/diagnostics/cases, by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import anchor, fenced, page, table

CASES = Path(__file__).resolve().parent.parent / "tests" / "diagnostics" / "cases"

TOUR: dict[str, dict[str, str]] = {
    "Shapes and types": {
        "E0203-dense-needs-a-vector": "a picture goes into Dense without Flatten",
        "E0201-dense-of-bytes": "pixels go into Dense as bytes",
        "E0202-embedding-of-floats": "Embedding of an input left as float32",
        "E0204-sum-of-different-widths": "a skip connection adds two widths",
        "E0205-concatenate-different-heights": "Concatenate of pieces of different heights",
        "E0207-reshape-does-not-fit": "Reshape to another number of values",
        "E0208-shared-weights-two-widths": "one layer shared by inputs of two widths",
        "E0211-batch-written": "the batch axis is written into a type",
        "E0212-kernel-too-large": "a Dense layer on a photograph",
    },
    "Names and structure": {
        "E0301-misspelt-name": "a misspelt name",
        "E0302-defined-twice": "a name used again, as in Python",
        "E0304-defined-by-each-other": "a cycle",
        "E0305-unused-input": "an input that nothing uses",
        "E0306-unused-value": "a layer that leads nowhere",
        "E0308-forgotten-capital": "layers written in another case",
        "E0310-tensor-as-layer": "a tensor where a layer belongs",
        "E0311-dense-of-two-tensors": "two tensors into a layer for one",
        "E0312-stack-of-a-shared-layer": "copies of a layer that has one set of weights",
    },
    "Arguments": {
        "E0401-unknown-argument": "a misspelt argument",
        "E0405-quotient-for-a-whole-number": "a quotient as a number of units",
        "E0406-rate-above-one": "a dropout rate above one",
        "E0414-outside-the-range": "a param set outside its range",
    },
    "Outputs, losses and metrics": {
        "E0501-unknown-entry": "a misspelt entry of an output",
        "E0502-unknown-loss": "a loss that does not exist",
        "E0503-unknown-metric": "metrics that do not exist",
        "E0507-softmax-over-one-unit": "softmax over one unit",
        "E0508-crossentropy-of-no-probability": "crossentropy of something that is no probability",
        "E0504-softmax-and-from-logits": "softmax taken twice",
        "E0509-classes-of-one-unit": "a choice among classes with one unit",
        "E0510-softmax-with-binary-crossentropy": "softmax with binary_crossentropy",
        "E0511-poisson-of-negatives": "poisson of a prediction that may be negative",
        "E0512-accuracy-of-a-regression": "accuracy of a regression",
        "E0512-metric-of-other-targets": "a metric that does not fit, and one that is always 1",
        "E0515-nothing-to-train": "training without a loss",
    },
    "Training": {
        "E0601-unknown-entry": "the learning rate in the wrong place",
        "E0691-unknown-monitor": "early stopping on a figure that nobody reports",
        "E0910-too-little-memory": "a step that needs more memory than allowed",
    },
    "Which data goes where": {
        "E0651-nothing-for-an-input": "no data for an input",
        "E0655-split-leaves-nothing": "a split of more than all rows",
        "E0701-no-such-file": "a misspelt file",
        "E0703-no-such-column": "a column that is not there",
        "E0706-different-lengths": "targets fewer than inputs",
        "E0704-no-targets": "fit without targets",
        "E0705-superfluous-array": "an array that nothing asked for",
    },
    "What is in the data": {
        "E0708-one-column-too-many": "the target slips in among the inputs",
        "E0708-transposed": "rows and columns exchanged",
        "E0707-no-rows": "a table with a header only",
        "E0702-row-too-short": "a torn row",
        "E0710-text-in-a-column": "text where numbers should be",
        "E0711-missing-value": "an empty field",
        "E0711-missing-target": "an empty target",
        "E0712-nan": "NaN among the inputs",
        "E0709-too-large-for-uint8": "a value that the type cannot hold",
        "E0713-label-outside-the-classes": "labels that count from one",
        "E0713-index-outside-an-embedding": "a category beyond the rows of its embedding",
        "E0713-index-outside-one-hot": "categories that count from one",
        "E0714-fractional-label": "a fractional label for classes",
        "E0715-indices-for-one-hot": "class numbers where one-hot rows are expected",
        "E0720-more-texts-than-classes": "Yes and yes are two classes",
        "E0720-more-texts-than-rows": "more texts than the rows of an embedding",
        "E0719-text-unseen-in-training": "texts that only the test rows have",
    },
    "Spelling of the language": {
        "E0104-characters-from-elsewhere": "characters from a word processor",
        "E0110-other-arrows": "arrows of other languages",
    },
}


@dataclass(frozen=True)
class Stop:
    """One mistake of the tour: the case's command and files, what nnc answers."""

    title: str
    code: str
    command: str
    files: dict[str, str]
    answer: str

    @property
    def heading(self) -> str:
        return f"{self.code}: {self.title}"

    @property
    def message(self) -> str:
        """The first line of the answer that has the code, without it."""
        return next(line for line in self.answer.splitlines() if self.code in line).partition(": ")[2]


def stops(kind: str) -> Iterator[Stop]:
    for name, title in TOUR[kind].items():
        text = (CASES / f"{name}.case").read_text("utf-8")
        head, *parts = re.split(r"^--- (.*)\n", text, flags=re.MULTILINE)
        sections = dict(zip(parts[::2], parts[1::2], strict=True))
        files = {name: text for name, text in sections.items() if name != "output" and not name.startswith("exit ")}
        yield Stop(title, name[:5], head.strip().removeprefix("$ "), files, sections["output"])


def tour_page() -> str:
    count = sum(map(len, TOUR.values()))
    return page(
        "A tour of mistakes",
        f"{count} mistakes in specs and data, and what nnc says of each before the first training step. Every one is a"
        " test: the programs are in `tests/diagnostics/cases`, whole. Here they are shown without what plays no part."
        " `nnc explain CODE` and [the list of errors](errors.md) say more about each code.",
        *(part for kind in TOUR for part in (f"**{kind}**", table(["mistake", "nnc says"], _rows(kind)))),
        *(part for kind in TOUR for part in chapter(kind)),
    )


def _rows(kind: str) -> list[list[str]]:
    return [[f"[{stop.heading}]({anchor(stop.heading)})", stop.message] for stop in stops(kind)]


def chapter(kind: str) -> Iterator[str]:
    yield f"## {kind}"
    for stop in stops(kind):
        yield f"### {stop.heading}"
        for name, text in stop.files.items():
            yield f"`{name}`"
            yield fenced(telling(text, stop.answer) if name.endswith(".nn") else text)
        yield f"`$ {stop.command}`"
        yield fenced(re.sub(r"\n+nnc: \d+ errors?\n", "\n", stop.answer))


def telling(spec: str, answer: str) -> str:
    """The paragraphs of a spec without its head, and without a `train` section that the answer does not point into."""
    return "\n\n".join(
        paragraph
        for paragraph in re.split(r"\n{2,}", spec.strip())
        if not paragraph.startswith(("nn ", "model "))
        and (not paragraph.startswith("train ") or any(f"| {line}\n" in answer for line in paragraph.splitlines()))
    )
