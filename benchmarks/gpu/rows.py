"""The rows of the table: networks of benchmarks/specs, trained in some precision, or predicted with in some batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.peers.job import Job
from benchmarks.peers.rows import SPECS, job_from_text

_LEAST_STEPS, _MOST_STEPS = 64, 1024
_BLOCK_FLOPS = 1e12  # between two looks at the clock: about a tenth of a second of float32
_SMALL_FLOPS = 1e7  # a step below that is all launches: the goal is higher there
TOLERANCES = {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 2e-2}  # of a loss or prediction, relative


@dataclass(frozen=True)
class Row:
    """spec: of benchmarks/specs. batch_size: None for the spec's own. mode: "train" or "predict"."""

    spec: str
    mode: str = "train"
    precision: str = "float32"
    batch_size: int | None = None


ROWS: dict[str, Row] = {
    **{name: Row(name) for name in ("mnist", "fashion", "cifar", "digits", "wide_deep", "large")},
    **{f"large-{precision}": Row("large", precision=precision) for precision in ("tf32", "bfloat16")},
    **{
        f"predict-{name}-{batch}": Row(name, "predict", batch_size=batch)
        for name in ("mnist", "digits")
        for batch in (1, 32, 1024)
    },
}


def job_of(name: str) -> Job:
    """The job of a row of ROWS."""
    row = ROWS[name]
    text = (SPECS / f"{row.spec}.nn").read_text("utf-8")
    return on_gpu(job_from_text(name, in_precision(text, row.precision), row.batch_size, mode=row.mode))


def in_precision(text: str, precision: str) -> str:
    """A spec whose `train` section says no precision, with one."""
    start = "train { "
    assert text.count(start) == 1, text
    assert "precision" not in text, text
    return text.replace(start, f"{start}precision = {precision}, ")


def on_gpu(job: Job) -> Job:
    """The job with as many steps between two looks at the clock as keep a GPU busy for long beside the look itself."""
    steps = min(_MOST_STEPS, max(_LEAST_STEPS, round(_BLOCK_FLOPS / job.flops())))
    return replace(job, steps=job.batches * -(-steps // job.batches))


def goal(flops: int) -> float:
    """How many times nnc's time the best peer should take on a step of so many FLOPs."""
    return 5.0 if flops < _SMALL_FLOPS else 1.2
