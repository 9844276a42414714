"""Step -> calls: a step's code is written once, then bound to memory for each number of rows."""

from __future__ import annotations

import numpy as np

from nnc.compiler.plan import Reduction, Step

from .arena import Arena, Scratch
from .bodies import write_code
from .code import Code
from .frame import Call, Frame
from .reductions import Accumulator
from .roots import ROOTS, WANTS_CONTIGUOUS, matmul_operands
from .tiles import Tile, cut


class CompiledStep:
    """A step and the code of its bodies. `bind` gives the calls that run it on a batch of `rows`."""

    def __init__(self, step: Step, arena: Arena) -> None:
        plan = arena.plan
        self.step, self.arena = step, arena
        self.code = write_code(
            step.body,
            step.space.shape,
            plan.buffers,
            plan.batch_size,
            (step.space.dtype, True) if step.kernel in ROOTS else None,
            step.reductions,
            step.operands,
            step.kernel in WANTS_CONTIGUOUS,
        )
        self.reductions = [self._reduction_code(reduction) for reduction in step.reductions]
        reduces_rows = any(statement.kind != "map" for statement in step.body.statements)
        keeps_rows = any(reduction.axes == "leading" for reduction in step.reductions)
        self.whole_rows = reduces_rows or keeps_rows or step.kernel in WANTS_CONTIGUOUS
        self._check_root_operands()

    def _reduction_code(self, reduction: Reduction) -> Code:
        plan, space = self.arena.plan, self.step.space.shape
        result = () if reduction.axes == "all" else space[-1:]
        return write_code(reduction.body, result, plan.buffers, plan.batch_size, (reduction.dtype, False))

    def _check_root_operands(self) -> None:
        """A root reads its operands on every tile, so no tile may store to them."""
        arena, step = self.arena, self.step
        rows = arena.plan.batch_size
        for operand in step.operands:
            for target, _ in step.body.stores:
                assert not np.shares_memory(arena.view(operand, rows), arena.view(target, rows)), step

    def bind(self, scratch: Scratch, rows: int) -> list[Call]:
        """Calls over views of the arena and of registers in `scratch`, in the order to run them."""
        step = self.step
        scratch.restart()
        tiles = self._tiles(rows)
        frame = Frame(self.code, tiles, self.arena, scratch, rows)
        space = step.space.concrete(rows)
        accumulators = [
            Accumulator(reduction, code, space, self.arena, scratch, rows)
            for reduction, code in zip(step.reductions, self.reductions, strict=True)
        ]
        calls, root = ROOTS[step.kernel](step, self.arena, scratch, rows) if step.kernel in ROOTS else ([], None)
        calls = calls + self._operand_sums(accumulators, scratch, rows)
        hoisted: set[int] = set()
        if len(tiles) > 1:
            prologue, hoisted = frame.prologue(tiles[0])
            calls += prologue
        for number, tile in enumerate(tiles):
            calls += frame.body(tile, root, hoisted)
            for accumulator, value in zip(accumulators, self.code.reduced, strict=True):
                if self.code.values[value].source != "operand_b":
                    calls += accumulator.add(frame.array(value, tile, ranked=True), is_first=number == 0)
            calls += frame.stores(tile)
        for accumulator in accumulators:
            calls += accumulator.finish()
        return calls

    def _tiles(self, rows: int) -> list[Tile]:
        """One tile for a root that writes its result where it stays: there is no register to keep small."""
        space, code = self.step.space.concrete(rows), self.code
        bare = [i.op for i in code.instructions] == ["root"] and bool(code.in_place)
        return [tuple([slice(0, dim) for dim in space])] if bare else cut(space, self.whole_rows)

    def _operand_sums(self, accumulators: list[Accumulator], scratch: Scratch, rows: int) -> list[Call]:
        """Calls for the reductions that sum a product's second operand instead of a value of the body."""
        calls: list[Call] = []
        for accumulator, value in zip(accumulators, self.code.reduced, strict=True):
            if self.code.values[value].source == "operand_b":
                _, b = matmul_operands(self.step, self.arena, rows)
                calls += accumulator.add_matrix(b, scratch)
        return calls
