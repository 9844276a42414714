"""The compiler as the list of its stages, and what a whole run of it gives.

Stages are imported when they run: checking a spec loads neither NumPy nor the planner.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError
from nnc.grammar.source import SourceFile
from nnc.grammar.syntax import Module

from .memo import forget_if_many
from .network import Network
from .options import CompileOptions

if TYPE_CHECKING:
    from .graph import Programs
    from .kernels import FusedPrograms
    from .plan import Plan


@dataclass(frozen=True, slots=True)
class State:
    """What the stages have made so far: each stage's value by its name, and what it all comes from."""

    source: SourceFile
    options: CompileOptions
    values: Mapping[str, Any]
    faults: tuple[Diagnostic, ...] = ()      # of a file that the parser got through only in parts


@dataclass(frozen=True, slots=True)
class Stage:
    """One pass: `run` takes what there is and gives the stage's value; `verify` asserts what the value promises."""

    name: str
    run: Callable[[State], Any]
    text: Callable[[Any], str]
    verify: Callable[[Any], None] | None = None


# --- the stages -----------------------------------------------------------------------------------------------------
def _network(state: State) -> Network:
    from .resolve import build_network

    return build_network(state.values["ast"], state.options, state.faults)


def _shapes(state: State) -> Network:
    from .shapes import check_shapes

    return check_shapes(state.values["network"])


def _ops(state: State) -> Programs:
    from .lower import lower

    return lower(state.values["shapes"])


def _grad(state: State) -> Programs:
    from .autodiff import differentiate

    return differentiate(state.values["ops"], state.values["shapes"])


def _simplified(state: State) -> Programs:
    from .simplify import simplify

    return simplify(state.values["grad"])


def _fused(state: State) -> FusedPrograms:
    from .fuse import fuse

    return fuse(state.values["simplified"])


def _schedule(state: State) -> FusedPrograms:
    from .planning.budget import auto_without_bound
    from .schedule import schedule, schedule_within

    fused, size, bound = state.values["fused"], state.values["shapes"].train.batch_size, state.options.max_memory_bytes
    if isinstance(size, int):
        return schedule(fused, size)
    if bound is None:
        raise UsageError(auto_without_bound())
    return schedule_within(fused, bound)


def _plan(state: State) -> Plan:
    from .bounds import input_bounds
    from .memory import plan_memory

    network: Network = state.values["shapes"]
    return plan_memory(
        state.values["schedule"],
        model=network.name,
        seed=network.train.seed,
        batch_size=network.train.batch_size,
        max_memory_bytes=state.options.max_memory_bytes,
        bounds=input_bounds(network),
        precision=network.train.precision,
    )


def _module_text(module: Module) -> str:
    from .tree_text import tree_text

    return tree_text(module)


def _network_text(network: Network) -> str:
    from .network_text import network_to_text

    return network_to_text(network)


def _plan_text(plan: Plan) -> str:
    from .planfile import to_json

    return to_json(plan)


def _verify_graphs(programs: Programs) -> None:
    from .verify_graph import verify_programs

    verify_programs(programs)


def _verify_fused(fused: FusedPrograms) -> None:
    from .verify_steps import verify_fused

    verify_fused(fused)


def _verify_plan(plan: Plan) -> None:
    from .verify import verify_plan

    verify_plan(plan)


STAGES: Final[tuple[Stage, ...]] = (
    Stage("ast", lambda state: _parse(state)[0], _module_text),         # text          -> Module
    Stage("network", _network, _network_text),                          # Module        -> Network (DAG of layers)
    Stage("shapes", _shapes, _network_text),                            # Network       -> Network (every layer typed)
    Stage("ops", _ops, str, _verify_graphs),                            # Network       -> Programs (primitive ops)
    Stage("grad", _grad, str, _verify_graphs),                          # Programs      -> Programs (+ gradients)
    Stage("simplified", _simplified, str, _verify_graphs),              # Programs      -> Programs (fewer ops)
    Stage("fused", _fused, str, _verify_fused),                         # Programs      -> FusedPrograms (steps)
    Stage("schedule", _schedule, str, _verify_fused),                   # FusedPrograms -> FusedPrograms (in order)
    Stage("plan", _plan, _plan_text, _verify_plan),                     # FusedPrograms -> Plan (addresses)
)
NAMES: Final = tuple(stage.name for stage in STAGES)


# --- running them ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Compiled:
    """A spec after compilation: every stage's value by name, and the seconds each stage took."""

    source: SourceFile
    options: CompileOptions
    values: Mapping[str, Any]
    timings: tuple[tuple[str, float], ...]

    def text(self, stage: str) -> str:
        """The value of a stage as text."""
        return STAGES[NAMES.index(stage)].text(self.values[stage])

    @property
    def module(self) -> Module:
        module: Module = self.values["ast"]
        return module

    @property
    def network(self) -> Network:
        """The typed network, or the untyped one if the compiler stopped before."""
        network: Network = self.values["shapes"] if "shapes" in self.values else self.values["network"]
        return network

    @property
    def simplified(self) -> Programs:
        programs: Programs = self.values["simplified"]
        return programs

    @property
    def fused(self) -> FusedPrograms:
        fused: FusedPrograms = self.values["fused"]
        return fused

    @property
    def scheduled(self) -> FusedPrograms:
        scheduled: FusedPrograms = self.values["schedule"]
        return scheduled

    @property
    def plan(self) -> Plan:
        plan: Plan = self.values["plan"]
        return plan


_ONE_AT_A_TIME = RLock()      # stages keep answers in tables that all threads share


def compile_source(
    source: SourceFile,
    options: CompileOptions | None = None,
    *,
    stop_after: str | None = None,
    verify: bool = False,
) -> Compiled:
    """Run the stages on a spec, up to `stop_after`; with `verify`, check each stage's value as well.

    Requires: `stop_after` is one of NAMES. Raises: NncError with every independent fault of the spec; BudgetError.
    """
    assert stop_after is None or stop_after in NAMES, stop_after
    options = options or CompileOptions()
    with _ONE_AT_A_TIME, _without_collector():
        forget_if_many()
        values, timings = _run_stages(source, options, stop_after, verify)
    return Compiled(source, options, values, timings)


def _run_stages(
    source: SourceFile, options: CompileOptions, stop_after: str | None, verify: bool
) -> tuple[dict[str, Any], tuple[tuple[str, float], ...]]:
    """The value of each stage, and the seconds it took."""
    values: dict[str, Any] = {}
    timings: list[tuple[str, float]] = []
    faults: tuple[Diagnostic, ...] = ()
    for stage in STAGES:
        began = perf_counter()
        state = State(source, options, values, faults)
        if stage.name == "ast":
            values["ast"], faults = _parse(state)
            if faults and stop_after == "ast":
                raise NncError(*faults)
        else:
            values[stage.name] = stage.run(state)
        timings.append((stage.name, perf_counter() - began))
        if verify and stage.verify is not None:
            stage.verify(values[stage.name])
        if stage.name == stop_after:
            break
    return values, tuple(timings)


@contextmanager
def _without_collector() -> Iterator[None]:
    """No garbage collection: stages make many small records that stay, and hardly a cycle.

    Of a network of 10,000 layers the collector would walk millions of records over and over.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def check_source(source: SourceFile, options: CompileOptions | None = None) -> Network:
    """The typed network of a spec: everything that can be wrong with the spec itself is found by then."""
    return compile_source(source, options, stop_after="shapes").network


def _parse(state: State) -> tuple[Module, tuple[Diagnostic, ...]]:
    from nnc.grammar.parse import parse_recovering

    return parse_recovering(state.source)
