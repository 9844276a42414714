"""Where updates run: in the kernel that makes their gradient, in the body of a reduction, or alone after the last read.

An update overwrites its variables, so every other reader of an old value has to come before it. A kernel whose variable
is still read later cannot take the update.
"""

from __future__ import annotations

from ..graph import Update
from ..kernels import Note
from .fusible import Item
from .grouping import Grouping
from .groups import LEAF, MAIN, Kernel


def place_updates(grouping: Grouping) -> None:
    """Give each update a kernel.

    Requires: every item is placed; no cycle of updates that read each other's targets.
    """
    final: Kernel | None = None
    for update in readers_first(grouping):
        kernel, level = _place_update(grouping, update, final)
        if kernel.root is None and kernel.shape == () and level == MAIN:
            final = kernel
        group = kernel if level == MAIN else kernel.reductions[level]
        group.updates.append(update)
        kernel.size += len(update.targets)


def readers_first(grouping: Grouping) -> list[Update]:
    """Updates ordered so that one that reads a variable comes before the one that changes it."""
    updates = grouping.graph.updates
    changed_by = {target: k for k, update in enumerate(updates) for target in update.targets}
    readers: list[set[int]] = [set() for _ in updates]
    for k, update in enumerate(updates):
        for node in update.operands:
            item = grouping.items[grouping.item_of[node]]
            if item.kind == "leaf" and item.attrs["op"] == "variable":
                changer = changed_by.get(item.attrs["name"], k)
                if changer != k:
                    readers[changer].add(k)
    if not any(readers):
        return list(updates)
    ordered: list[Update] = []
    state = [0] * len(updates)
    stack = list(range(len(updates) - 1, -1, -1))
    while stack:
        k = stack[-1]
        if state[k] == 0:
            state[k] = 1
            before = sorted(readers[k])
            assert not any(state[r] == 1 for r in before), "updates read each other's targets in a circle"
            stack.extend(r for r in reversed(before) if state[r] == 0)
        else:
            stack.pop()
            if state[k] == 1:
                state[k] = 2
                ordered.append(updates[k])
    return ordered


def as_item(grouping: Grouping, update: Update) -> Item:
    """The update as the map it is: operands in, values of its targets' shape out."""
    type = grouping.variables[update.targets[0]].type
    inputs = tuple(grouping.item_of[i] for i in update.operands)
    return Item(-1, "map", inputs, type, type.shape, update.origin, {}, compute=type.dtype)


def _place_update(grouping: Grouping, update: Update, final: Kernel | None) -> tuple[Kernel, int]:
    item = as_item(grouping, update)
    pending: list[int] = []
    external: list[int] = []
    grouping.collect(item, item.shape, pending, external)
    kernel, level = _choose(grouping, update, item, pending, external, final)
    for member in pending:
        grouping.join(kernel, level, member)
    held = kernel.shape if level == MAIN else kernel.reductions[level].shape
    for operand in grouping.operands(item):
        inside = operand if level == MAIN else grouping.body_alias(operand, kernel)
        if grouping.home[inside] is not kernel or grouping.level[inside] != level:
            grouping.read(kernel, operand, level, held)
    return kernel, level


def _choose(
    grouping: Grouping, update: Update, item: Item, pending: list[int], external: list[int], final: Kernel | None
) -> tuple[Kernel, int]:
    latest = max((grouping.ready[i] for i in external), default=LEAF)
    size = len(pending) + len(update.targets)
    if latest >= 0:
        kernel = grouping.kernels[latest]
        level: int | None = MAIN
        if kernel.shape != item.shape or not grouping.accepts(kernel, item, item.shape, external, size):
            level = grouping.accepting_reduction(kernel, item, pending, external, size)
        if level is not None:
            if _may_overwrite(grouping, update, kernel, level):
                return kernel, level
            _note_later_readers(grouping, update)
    if (
        final is not None
        and item.shape == ()
        and final.order >= latest
        and grouping.accepts(final, item, (), external, size)
        and _may_overwrite(grouping, update, final, MAIN)
    ):
        return final, MAIN
    return grouping.new_kernel(item, item.shape), MAIN


def _may_overwrite(grouping: Grouping, update: Update, kernel: Kernel, level: int) -> bool:
    """Whether every read of the targets is done when `level` of `kernel` stores."""
    for target in update.targets:
        for read in grouping.variable_reads.get(target, ()):
            if read.order < kernel.order:
                continue
            if read.order > kernel.order:
                return False
            if level == MAIN:
                done = read.level == MAIN and read.elementwise
            else:
                done = read.level is None or read.level < level or (read.level == level and read.elementwise)
            if not done:
                return False
    return True


def _note_later_readers(grouping: Grouping, update: Update) -> None:
    names = ", ".join(update.targets)
    text = f"update of {names} is a step of its own: an old value is still read after its gradient is known"
    grouping.notes.append(Note(update.origin, text, False))
