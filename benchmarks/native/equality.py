"""Does compiled C compute what the reference computes? `python -m benchmarks.native.equality`, from the root.

    python -m benchmarks.native.equality --networks 500 --steps 50 --out benchmarks/results/equality.json

Random networks (tests/random_networks.py) of several batch sizes, every third batch one row short and every third a
single row. Three questions for each, over some steps:

- step by step: both start from the reference's variables; every fetch and every variable of every program afterwards.
- free: both go their own ways; the losses of the training step.
- threads: every byte of the same on 1, 2 and 4 threads; of each fifth network also with every loop shared, however
  small, over a few steps.

A deviation is the largest difference in a tensor over the largest magnitude in it; of a loss, over the loss. What is
beyond the limit (1e-5; 1e-12 where all is float64) is put beside a yardstick, by Monte Carlo arithmetic (D. S. Parker,
1997): how far the reference gets from its own result if every float is moved up or down by one unit in the last place
whenever an operation reads it and when a kernel has stored it, the farthest of several such trials. Where that is as
far (within ALLOWANCE, since sums round more than once), the network amplifies rounding, as at the corner of a ReLU, or
where a gradient is zero but for rounding. Where it is not, the two differ: exit code 1, as where threads change a byte.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import cycle, starmap
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / part) for part in ("", "native", "runtime")]
from native_networks import TOLERANCE, NetworkFeeds  # noqa: E402
from random_networks import RandomNetwork, first_networks  # noqa: E402
from test_native_networks import shared_everywhere  # noqa: E402

from benchmarks.peers.__main__ import machine  # noqa: E402
from nnc.compiler.expr import PREDICATES  # noqa: E402
from nnc.compiler.pipeline import compile_source  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.grammar.source import SourceFile  # noqa: E402
from nnc.runtime.native.session import NativeRuntime  # noqa: E402
from nnc.runtime.protocol import Session  # noqa: E402
from nnc.runtime.reference import ReferenceRuntime  # noqa: E402
from nnc.runtime.reference.elementary import UFUNCS  # noqa: E402

Array = npt.NDArray[Any]
State = dict[str, Array]  # values by the names of variables

BATCHES = (4, 1, 7, 16, 3, 33)  # the batch sizes, in turn
THREADS = (1, 2, 4)
SHARED_EVERY = 5  # networks: the compiled program is another one
SHARED_STEPS = 6  # whole batches, ragged ones and single rows twice: threads that wait for a processor take long
TRIALS = 16  # of one unit in the last place, for a yardstick
ALLOWANCE = 10.0  # how many yardsticks count as rounding
MOVED = ("weight", "statistic", "slot")  # roles of the variables that a trial moves
WORST = 12  # networks told of in full


@dataclass(frozen=True, slots=True)
class Deviation:
    """The largest difference in a tensor, the largest magnitude, the yardstick (0 where none was needed), and where."""

    apart: float = 0.0
    size: float = 0.0
    yardstick: float = 0.0
    where: str = ""

    @property
    def relative(self) -> float:
        return self.apart / self.size if self.size else (math.inf if self.apart else 0.0)

    def exceeds(self, limit: float) -> bool:
        """Whether it is neither within the limit nor rounding that the network amplifies."""
        return not self.apart <= max(limit * self.size, ALLOWANCE * self.yardstick)

    def told(self) -> dict[str, Any]:
        beside = {"yardsticks": self.apart / self.yardstick} if self.yardstick else {}
        return {"where": self.where, "relative": self.relative, **beside, "size": self.size}


@dataclass(slots=True)
class Record:
    """What was found of one network. `stopped_at`: the step from which its numbers were no longer finite."""

    number: int
    dtype: str
    batch_size: int
    limit: float
    stepwise: Deviation = field(default_factory=Deviation)
    free: Deviation = field(default_factory=Deviation)
    amplified: int = 0  # tensors of a step beyond the limit, but not beyond the yardstick
    differing: list[Deviation] = field(default_factory=list)
    compared: int = 0  # tensors
    threads_agree: bool = True
    stopped_at: int | None = None

    @property
    def is_equal(self) -> bool:
        return not self.differing and self.threads_agree

    @property
    def is_within_the_limit(self) -> bool:
        return self.is_equal and max(self.stepwise.relative, self.free.relative) <= self.limit

    def told(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("number", "dtype", "batch_size", "amplified", "threads_agree")}
        differing = [deviation.told() for deviation in self.differing[:WORST]]
        return {**plain, "stepwise": self.stepwise.told(), "free": self.free.told(), "differing": differing}


class Trial:
    """A plan, its data, and the rows of each step."""

    def __init__(self, plan: Plan, network: RandomNetwork, steps: int) -> None:
        self.plan, self.steps = plan, steps
        self.samples = 3 * plan.batch_size
        feeds = NetworkFeeds(plan, network.domains)
        self.feeds = {program.name: dict(feeds.feeds(program.name, self.samples)) for program in plan.programs}
        self.moved = {variable.name for variable, _ in plan.variables if variable.role in MOVED}
        self.kept = {buffer for variable, buffer in plan.variables if variable.role not in MOVED}

    def rows(self, step: int) -> npt.NDArray[np.int64]:
        count = (self.plan.batch_size, max(1, self.plan.batch_size - 1), 1)[step % 3]
        return np.random.default_rng(step).permutation(self.samples)[:count]

    def bind(self, session: Session) -> Session:
        for program, arrays in self.feeds.items():
            session.bind(program, arrays)
        return session

    def reference(self) -> Session:
        return self.bind(ReferenceRuntime().prepare(self.plan))

    def native(self, threads: int = 1) -> Session:
        return self.bind(NativeRuntime(threads).prepare(self.plan))

    def state(self, session: Session) -> State:
        return {variable.name: session.read(variable.name) for variable, _ in self.plan.variables}

    def results(self, session: Session, program: str) -> State:
        """Fetches and variables after a step of `program`."""
        fetches = {name: session.fetch(program, name).copy() for name, _ in self.plan.program(program).fetches}
        return {**{f"fetch {name}": value for name, value in fetches.items()}, **self.state(session)}


class Probe:
    """The reference in Monte Carlo arithmetic. Scalars stay what they are, the step's number is one; so does what is
    compared, since a number equals itself."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.session, self.random = trial, trial.reference(), np.random.default_rng(0)
        self.start = trial.state(self.session)
        self._moving = {name: partial(self._apply, UFUNCS[name]) for name in UFUNCS.keys() - PREDICATES}

    def _apply(self, ufunc: np.ufunc, *operands: Array, out: Array) -> None:
        if out.ndim:
            operands = tuple([moved(operand, self.random) for operand in operands])
        ufunc(*operands, out=out)

    def begin(self, state: Mapping[str, Array]) -> None:
        """Start from `state` and the feeds, both moved."""
        for name, value in state.items():
            self.session.write(name, moved(value, self.random) if name in self.trial.moved else value)
        for program, arrays in self.trial.feeds.items():
            self.session.bind(program, {name: moved(array, self.random) for name, array in arrays.items()})

    def run(self, program: str, step: int) -> None:
        with mock.patch.dict(UFUNCS, self._moving):  # which a session calls from then on
            for buffers, views in self.session.trace(program, self.trial.rows(step)):
                for buffer, view in zip(buffers, views, strict=True):
                    if buffer not in self.trial.kept:
                        view[...] = moved(view, self.random)


def moved(value: Array, random: np.random.Generator) -> Array:
    """Each number moved up or down by one unit in the last place; whole ones (zeros, counts, classes) stay."""
    if value.dtype.kind != "f":
        return value
    directions = np.where(random.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
    return np.where(value == np.rint(value), value, np.nextafter(value, directions))


def difference(found: Array, wanted: Array, where: str) -> Deviation:
    """What is not finite must be so in both."""
    with np.errstate(all="ignore"):
        a, b = found.astype(np.float64), wanted.astype(np.float64)
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    apart = np.where(np.isnan(apart), np.inf, apart)
    return Deviation(float(np.max(apart, initial=0.0)), float(np.max(np.abs(b), initial=0.0)), 0.0, where)


def larger(a: Deviation, b: Deviation) -> Deviation:
    return b if b.relative > a.relative else a


# --- the three questions ----------------------------------------------------------------------------------------------
def compare_steps(trial: Trial, record: Record) -> None:
    """Every fetch and variable after each step, both having started from the reference's variables."""
    native, reference, probe = trial.native(), trial.reference(), Probe(trial)
    for step in range(trial.steps):
        for program in trial.plan.programs:
            before = trial.state(reference)
            for session in (native, reference):
                session.run(program.name, trial.rows(step))
            wanted, found = trial.results(reference, program.name), trial.results(native, program.name)
            if not all(np.all(np.isfinite(value)) for value in wanted.values()):
                record.stopped_at = step
                return
            deviations = {
                name: difference(found[name], value, f"step {step} of {program.name}: {name}")
                for name, value in wanted.items()
            }
            record.compared += len(deviations)
            beyond = {name: each for name, each in deviations.items() if each.relative > record.limit}
            deviations |= beside_trials(trial, probe, before, step, program.name, wanted, beyond)
            for name, deviation in deviations.items():
                record.stepwise = larger(record.stepwise, deviation)
                if deviation.exceeds(record.limit):
                    record.differing.append(deviation)
                else:
                    record.amplified += name in beyond
            for variable, _ in trial.plan.variables:
                native.write(variable.name, wanted[variable.name])


def beside_trials(
    trial: Trial, probe: Probe, before: State, step: int, program: str, wanted: State, beyond: Mapping[str, Deviation]
) -> dict[str, Deviation]:
    """The deviations `beyond` the limit with their yardsticks, from as many trials as it takes to explain them all."""
    result = dict(beyond)
    for _ in range(TRIALS):
        if not any(deviation.exceeds(0.0) for deviation in result.values()):
            break
        probe.begin(before)
        probe.run(program, step)
        results = trial.results(probe.session, program)
        for name, deviation in result.items():
            away = difference(results[name], wanted[name], "").apart
            result[name] = replace(deviation, yardstick=max(deviation.yardstick, away))
    return result


def losses(trial: Trial, session: Session, run: Callable[[str, int], None] | None = None) -> list[dict[str, float]]:
    """The losses of each training step, one after the other. run: makes a step, else the session."""
    names = [name for name, _ in trial.plan.program("train_step").fetches if name.split(".")[-1] == "loss"]
    result = []
    for step in range(trial.steps):
        if run is None:
            session.run("train_step", trial.rows(step))
        else:
            run("train_step", step)
        result.append({name: float(session.fetch("train_step", name)) for name in names})
    return result


def drift(found: Sequence[Mapping[str, float]], wanted: Sequence[Mapping[str, float]]) -> Deviation:
    """The largest deviation of a loss, as long as the wanted ones are finite."""
    worst = Deviation()
    for step, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        if not all(map(math.isfinite, theirs.values())):
            break
        for name, value in theirs.items():
            worst = larger(worst, difference(np.array(ours[name]), np.array(value), f"step {step}: {name}"))
    return worst


def compare_losses(trial: Trial, record: Record) -> None:
    """The losses of a free run; beyond the limit with the farthest that the reference drifts in a trial beside them."""
    wanted = losses(trial, trial.reference())
    record.free = drift(losses(trial, trial.native()), wanted)
    if record.free.relative <= record.limit:
        return
    probe = Probe(trial)
    for _ in range(TRIALS):
        probe.begin(probe.start)
        away = drift(losses(trial, probe.session, probe.run), wanted).relative * record.free.size
        record.free = replace(record.free, yardstick=max(record.free.yardstick, away))
        if not record.free.exceeds(0.0):
            return
    record.differing.append(record.free)


def threads_agree(trial: Trial, steps: int) -> bool:
    """Whether every result of every step has the same bytes on each number of THREADS."""
    sessions = [trial.native(threads) for threads in THREADS]
    for step in range(steps):
        for program in trial.plan.programs:
            for session in sessions:
                session.run(program.name, trial.rows(step))
            alone, *others = [trial.results(session, program.name) for session in sessions]
            if any(each[name].tobytes() != value.tobytes() for each in others for name, value in alone.items()):
                return False
    return True


def examine(number: int, network: RandomNetwork, steps: int) -> Record:
    plan = compile_source(SourceFile("random.nn", network.text)).plan
    # the sums of a float32 network are float64, but of numbers that were rounded before
    precision = "float32" if any(buffer.type.dtype == "float32" for buffer in plan.buffers) else "float64"
    trial, record = Trial(plan, network, steps), Record(number, precision, plan.batch_size, TOLERANCE[precision])
    compare_steps(trial, record)
    compare_losses(trial, record)
    record.threads_agree = threads_agree(trial, steps)
    if number % SHARED_EVERY == 0:
        with pytest.MonkeyPatch.context() as patch:
            shared_everywhere(patch)
            record.threads_agree &= threads_agree(trial, min(steps, SHARED_STEPS))
    return record


def networks(count: int, seed: int) -> list[RandomNetwork]:
    """`count` different ones, with the BATCHES in turn."""
    return [
        replace(network, text=re.sub(r"batch_size = \d+", f"batch_size = {batch_size}", network.text))
        for network, batch_size in zip(first_networks(count, seed), cycle(BATCHES), strict=False)
    ]


# --- what it comes to -------------------------------------------------------------------------------------------------
def distribution(values: Sequence[float]) -> dict[str, Any]:
    """Quantiles, and how many in each power of ten."""
    powers = Counter(f"1e{math.floor(math.log10(value))}" if 0 < value < math.inf else str(value) for value in values)
    percents = (50, 90, 95, 99, 100)
    quantiles = {f"{percent}%": float(np.percentile(values, percent, method="higher")) for percent in percents}
    order = sorted(powers, key=float)
    return {"quantiles": quantiles, "at_least": {power: powers[power] for power in order}}


def summary(records: Sequence[Record], texts: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for dtype in TOLERANCE:
        chosen = [record for record in records if record.dtype == dtype]
        if not chosen:
            continue
        stepwise, free = [r.stepwise.relative for r in chosen], [r.free.relative for r in chosen]
        result[dtype] = {
            "networks": len(chosen),
            "limit": TOLERANCE[dtype],
            "tensors_compared": sum(r.compared for r in chosen),
            "tensors_amplified": sum(r.amplified for r in chosen),
            "stepwise_within_the_limit": sum(relative <= TOLERANCE[dtype] for relative in stepwise),
            "free_within_the_limit": sum(relative <= TOLERANCE[dtype] for relative in free),
            "stepwise": distribution(stepwise),
            "free": distribution(free),
        }
    equal = [record.is_equal for record in records]
    worst = sorted(records, key=lambda r: (r.is_equal, -max(r.stepwise.relative, r.free.relative)))[:WORST]
    return {
        "equal": sum(equal),
        "differing": [record.number for record, is_equal in zip(records, equal, strict=True) if not is_equal],
        "threads_differ": [record.number for record in records if not record.threads_agree],
        "not_finite": {record.number: record.stopped_at for record in records if record.stopped_at is not None},
        **result,
        "worst": [{**record.told(), "spec": texts[record.number]} for record in worst],
    }


def plain(value: Any) -> Any:
    """With words for what JSON has no number for."""
    match value:
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case float() if not math.isfinite(value):
            return str(value)
    return value


def examined(made: Sequence[RandomNetwork], options: argparse.Namespace, until: float) -> Iterator[Record]:
    """The record of each network, in their order, as many as are begun before that time."""
    numbers = [number for number in range(len(made)) if not options.only or number in options.only]
    tasks = [(number, made[number], options.steps, until) for number in numbers]
    if options.processes == 1:
        yield from (record for record in starmap(examine_in_time, tasks) if record is not None)
        return
    with multiprocessing.Pool(options.processes) as pool:
        yield from (record for record in pool.imap(_in_child, tasks) if record is not None)


def examine_in_time(number: int, network: RandomNetwork, steps: int, until: float) -> Record | None:
    return examine(number, network, steps) if time.monotonic() <= until else None


def _in_child(task: tuple[int, RandomNetwork, int, float]) -> Record | None:
    return examine_in_time(*task)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.native.equality")
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="examine no further network after that time")
    parser.add_argument("--processes", type=int, default=1, help="networks examined side by side")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of networks")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    made, records = networks(options.networks, options.seed), []
    began = time.monotonic()
    for record in examined(made, options, began + 60 * options.minutes):
        records.append(record)
        if not record.is_within_the_limit:
            print("amplifies rounding" if record.is_equal else "DIFFERS", record.told(), flush=True)
    settings = {"networks": len(records), "steps": options.steps, "seed": options.seed, "trials": TRIALS,
                "allowance": ALLOWANCE, "batches": BATCHES, "threads": THREADS,
                "numpy": np.__version__, "hypothesis": hypothesis.__version__}  # fmt: skip
    head = {"date": date.today().isoformat(), "machine": machine(), "settings": settings}
    seconds = round(time.monotonic() - began)
    figures = {**head, "seconds": seconds, **summary(records, [each.text for each in made])}
    print(json.dumps({key: plain(value) for key, value in figures.items() if key != "worst"}, indent=1))
    if options.out:
        options.out.write_text(json.dumps(plain(figures), indent=1) + "\n", encoding="utf-8")
    return 0 if all(record.is_equal for record in records) else 1


if __name__ == "__main__":
    raise SystemExit(main())
