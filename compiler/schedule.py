"""The order of steps: of two candidates the one whose live bytes peak lower.

One candidate keeps the program's order, with steps that wait for nothing moved to just before their first reader; the
other always takes the ready step that frees most. Both take n log n.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .kernels import FusedProgram, FusedPrograms, Value, reads, writes
from .planning.budget import largest_batch

KEPT = -1  # touches left of what outlives the program


def schedule(fused: FusedPrograms, batch_size: int) -> FusedPrograms:
    """The same programs with their steps in the order they will run.

    Requires: steps that are right in the order they are in. Ensures: every step comes after those that write what it
    reads, and before those that overwrite it.
    """
    return replace(fused, programs=tuple(_schedule_program(program, batch_size) for program in fused.programs))


def schedule_within(fused: FusedPrograms, max_memory_bytes: int) -> FusedPrograms:
    """The order for the largest batch that fits `max_memory_bytes`, which depends on the order in its turn.

    Ensures: scheduled for one row more than its largest batch, the programs would not hold that row either.
    """
    best = schedule(fused, 1)
    largest = largest_batch(best, max_memory_bytes)
    while True:
        other = schedule(fused, largest + 1)
        reached = largest_batch(other, max_memory_bytes)
        if reached <= largest:
            return best
        best, largest = other, reached


def _schedule_program(program: FusedProgram, batch_size: int) -> FusedProgram:
    work = Work.of(program, batch_size)
    first = _program_order(work)
    second = _greedy_order(work)
    order = first if work.peak(first) <= work.peak(second) else second
    if order == list(range(len(program.steps))):
        return program
    return replace(program, steps=tuple([program.steps[i] for i in order]))


@dataclass(slots=True)
class Work:
    """Steps as a graph. Numbers from `steps` on are no steps: each stands for "all parts of a concatenation are there".

    `before`, `after`: edges. `touches`: for each step, the temporaries (roots) it reads or writes; `sizes`: their
    bytes; `touch_count`: how many steps touch one, or KEPT for what is fetched.
    """

    steps: int
    before: list[list[int]]
    after: list[list[int]]
    touches: list[list[int]]
    sizes: list[int]
    touch_count: list[int]
    fed: list[int]

    @classmethod
    def of(cls, program: FusedProgram, batch_size: int) -> Work:
        before = dependencies(program)
        after: list[list[int]] = [[] for _ in before]
        for node, sources in enumerate(before):
            for source in sources:
                after[source].append(node)
        values = program.values
        roots = [value.root for value in values]
        temporary = [value.kind in ("temporary", "input") for value in values]
        sizes = [v.type.size_bytes(batch_size) if temporary[i] and v.root == i else 0 for i, v in enumerate(values)]
        touches, count = [], [0] * len(values)
        for step in program.steps:
            touched = {roots[id] for id in (*reads(step), *writes(step))}
            touches.append(sorted(root for root in touched if temporary[root]))
            for root in touches[-1]:
                count[root] += 1
        for _, id in program.fetches:
            count[roots[id]] = KEPT
        fed = [id for _, id in program.feeds if count[id]]
        return cls(len(program.steps), before, after, touches, sizes, count, fed)

    def peak(self, order: Iterable[int]) -> int:
        """The largest sum of bytes live at one step."""
        left, sizes = list(self.touch_count), self.sizes
        seen = set(self.fed)
        live = peak = sum(sizes[root] for root in self.fed)
        for step in order:
            for root in self.touches[step]:
                if root not in seen:
                    seen.add(root)
                    live += sizes[root]
            if live > peak:
                peak = live
            for root in self.touches[step]:
                if left[root] != KEPT:
                    left[root] -= 1
                    if left[root] == 0:
                        live -= sizes[root]
        return peak


# --- dependencies ---------------------------------------------------------------------------------------------------
def dependencies(program: FusedProgram) -> list[list[int]]:
    """For each step, what has to come before it; further entries stand for concatenations with several parts.

    A step waits for what writes its operands; one that overwrites a variable also for all that read the old value.
    """
    values = program.values
    writer: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    before: list[list[int]] = [[] for _ in program.steps]
    for number, step in enumerate(program.steps):
        for id in writes(step):
            if values[id].kind != "variable":
                writer[id] = number
    made: dict[int, int | None] = {}
    for number, step in enumerate(program.steps):
        found = before[number]
        for id in reads(step):
            value = values[id]
            if value.kind == "variable":
                readers.setdefault(value.root, []).append(number)
                continue
            source = made[id] if id in made else _source(id, values, writer, made, before)
            if source is not None:
                found.append(source)
    for number, step in enumerate(program.steps):
        for id in writes(step):
            if values[id].kind == "variable":
                before[number] += [reader for reader in readers.get(values[id].root, ()) if reader != number]
    return [list(dict.fromkeys(sources)) for sources in before]


def _source(
    id: int, values: tuple[Value, ...], writer: dict[int, int], made: dict[int, int | None], before: list[list[int]]
) -> int | None:
    """What finishes a value: a step, a new entry of `before` for all its parts, or None if it is there at the start."""
    stack = [id]
    while stack:
        top = stack[-1]
        if top in made:
            stack.pop()
            continue
        if top in writer:
            made[top] = writer[top]
            continue
        unknown = [source for source in values[top].sources if source not in made]
        if unknown:
            stack.extend(unknown)
            continue
        parts = [part for source in values[top].sources if (part := made[source]) is not None]
        if len(set(parts)) > 1:
            made[top] = len(before)
            before.append(parts)
        else:
            made[top] = parts[0] if parts else None
    return made[id]


# --- orders ---------------------------------------------------------------------------------------------------------
def _program_order(work: Work) -> list[int]:
    """As given, but a step that waits for no other (or only such) goes to just before the first that waits for it."""
    count = len(work.before)
    waits = [False] * count
    order: list[int] = []
    placed = [False] * count

    def place(last: int) -> None:
        stack = [last]
        while stack:
            node = stack[-1]
            missing = [source for source in work.before[node] if not placed[source]]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            if not placed[node]:
                placed[node] = True
                if node < work.steps:
                    order.append(node)

    for node in range(work.steps):
        waits[node] = not work.after[node] or any(source >= work.steps or waits[source] for source in work.before[node])
        if waits[node]:
            place(node)
    for node in range(work.steps):
        if not placed[node]:
            place(node)
    return order


def _greedy_order(work: Work) -> list[int]:
    """Always the ready step after which fewest bytes are live; of equals the first of the program."""
    return _Greedy(work).order()


class _Greedy:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.left = list(work.touch_count)
        self.allocated = [False] * len(work.sizes)
        for root in work.fed:
            self.allocated[root] = True
        self.waiting = [len(sources) for sources in work.before]
        self.ready: set[int] = set()
        self.heap: list[tuple[int, int]] = []
        # a root's touchers are looked at again when it is first written and when one of them is left
        self.touchers: dict[int, list[int]] = {}
        for step, roots in enumerate(work.touches):
            for root in roots:
                self.touchers.setdefault(root, []).append(step)

    def order(self) -> list[int]:
        order: list[int] = []
        for node, waiting in enumerate(self.waiting):
            if not waiting:
                self._release(node)
        while self.heap:
            cost, step = heapq.heappop(self.heap)
            if step not in self.ready or cost != self._cost(step):
                continue
            self.ready.remove(step)
            order.append(step)
            self._run(step)
            self._finish(step)
        return order

    def _cost(self, step: int) -> int:
        cost = 0
        for root in self.work.touches[step]:
            if not self.allocated[root]:
                cost += self.work.sizes[root]
            if self.left[root] == 1:
                cost -= self.work.sizes[root]
        return cost

    def _release(self, node: int) -> None:
        if node < self.work.steps:
            self.ready.add(node)
            heapq.heappush(self.heap, (self._cost(node), node))
        else:
            self._finish(node)

    def _finish(self, node: int) -> None:
        stack = [node]
        while stack:
            for after in self.work.after[stack.pop()]:
                self.waiting[after] -= 1
                if self.waiting[after]:
                    continue
                if after < self.work.steps:
                    self._release(after)
                else:
                    stack.append(after)

    def _run(self, step: int) -> None:
        changed: list[int] = []
        for root in self.work.touches[step]:
            if not self.allocated[root]:
                self.allocated[root] = True
                changed.append(root)
            if self.left[root] != KEPT:
                self.left[root] -= 1
                if self.left[root] == 1:
                    changed.append(root)
        for root in changed:
            for other in self.touchers[root]:
                if other in self.ready:
                    heapq.heappush(self.heap, (self._cost(other), other))
