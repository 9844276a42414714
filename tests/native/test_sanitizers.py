"""Printed C under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer, in memory of exactly its size.

`pytest tests/native/test_sanitizers.py --sanitize 20` runs every bundled spec and 20 random networks, which takes some
minutes; without it, one spec and what is written for the purpose.

For vectors of 128 bits, whose loads and stores of a few lanes are loops: masked instructions, which wider vectors use,
are invisible to sanitizers. What those touch is seen in tests/runtime, by the bytes around every result.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from native_networks import Feeds, NetworkFeeds, spec_feeds, spec_plan
from random_networks import first_networks
from test_native_networks import shared_everywhere

from nnc.commands.sources import bundled_names
from nnc.compiler.codegen.module import Module, print_module
from nnc.compiler.codegen.target import VECTOR128, Target
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile
from nnc.runtime.native.cache import HEADERS
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.reference import ReferenceRuntime

pytestmark = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
SANITIZERS = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "thread": ("-fsanitize=thread",),
}
SLICES = """
input words: int32[3]
input wide: float32[6]
text = words -> Embedding(20, 4) -> Flatten
both = (text, wide) -> Concatenate -> Dense(19, relu) -> Dropout(0.3)
output kind = (both, wide) -> Concatenate -> Dense(5, softmax) { loss = sparse_categorical_crossentropy }
train { optimizer = sgd(0.01), batch_size = 5 }
"""
STEPS = 2


def build(plan: Plan, sanitizer: str, folder: Path, target: Target = VECTOR128) -> Module:
    """Make `folder/steps`, which runs the plan's programs. Skips where the compiler has no such sanitizer."""
    toolchain = find_toolchain().toolchain
    assert toolchain is not None
    module = print_module(plan, target)
    (folder / "plan.c").write_text(module.text, encoding="utf-8")
    flags = [flag for flag in toolchain.flags if not flag.startswith(("-shared", "-O", "-m"))]
    flags += ["-march=native"] if target != VECTOR128 else []
    command = [*toolchain.command, *flags, "-O1", "-g", *SANITIZERS[sanitizer], f"-I{HEADERS}",
               f'-DPLAN="{folder / "plan.c"}"', str(Path(__file__).parent / "run_steps.c"),
               "-o", str(folder / "steps"), "-lm"]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "cannot find" in built.stderr or "unsupported option" in built.stderr:
        pytest.skip(f"the compiler has no sanitizer `{sanitizer}`")
    assert built.returncode == 0, built.stderr[:2000]
    return module


def report(plan: Plan, module: Module, feeds: Feeds, folder: Path, threads: int = 3) -> str:
    """What the sanitizer says to some steps of every program, the last batch of a call a ragged one."""
    text = description(plan, module, feeds, folder, threads)
    done = subprocess.run([str(folder / "steps")], input=text.encode(), capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0 or said, f"it ends with exit code {done.returncode}"
    assert said or len(done.stdout) == plan.arena_bytes
    return said


def description(plan: Plan, module: Module, feeds: Feeds, folder: Path, threads: int) -> str:
    """What run_steps.c is told; the files that it reads are written to `folder`."""
    arena = ReferenceRuntime().prepare(plan)._arena._bytes  # panels hold the same numbers in another order
    (folder / "arena").write_bytes(arena.tobytes())
    scratch = -(-module.scratch_bytes // 128) * 128
    lines = [f"{folder / 'arena'} {len(arena)} {module.piece_bytes} {scratch} {threads} {plan.batch_size}"]
    rows = plan.batch_size + max(plan.batch_size - 1, 1)
    for entry in module.entries * STEPS:
        arrays = feeds(entry.name, rows)
        lines.append(f"{entry.number} {int(entry.is_shared)} {rows} {len(entry.feeds)}")
        for number, feed in enumerate(entry.feeds):
            path = folder / f"{entry.name}.{number}"
            path.write_bytes(np.ascontiguousarray(arrays[feed.name]).tobytes())
            lines.append(f"{path} {path.stat().st_size} {feed.row_bytes}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("sanitizer", list(SANITIZERS))
def test_slices_are_clean(sanitizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step that has a loop is shared. With memory too small by a vector, the sanitizer has something to say."""
    shared_everywhere(monkeypatch)
    plan = compile_source(SourceFile("slices.nn", SLICES)).plan
    feeds = NetworkFeeds(plan, {"words": ("index", 20), "wide": ("real", 0), "kind": ("class", 5)}).feeds
    module = build(plan, sanitizer, tmp_path)
    assert report(plan, module, feeds, tmp_path) == ""
    if sanitizer == "address":
        short = replace(module, piece_bytes=module.piece_bytes - 128)   # what a piece is rounded up to
        assert "heap-buffer-overflow" in report(plan, short, feeds, tmp_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whom `test_a_network_is_clean` examines: bundled specs by name, random networks by number."""
    if "subject" in metafunc.fixturenames:
        count = metafunc.config.getoption("--sanitize")
        wanted = [("digits", "address", False)]
        if count is not None:
            ways = [("address", False), ("address", True), ("thread", True)]
            wanted = [(subject, *way) for subject, way in product([*bundled_names(), *range(count)], ways)]
        metafunc.parametrize(("subject", "sanitizer", "shared"), wanted)


def test_a_network_is_clean(
    subject: str | int,
    sanitizer: str,
    shared: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    """shared: every step that has a loop is shared by the threads, however small."""
    if shared:
        shared_everywhere(monkeypatch)
    if isinstance(subject, str):
        plan = spec_plan(subject)
        feeds = spec_feeds(plan)
    else:
        network = first_networks(pytestconfig.getoption("--sanitize"), seed=2)[subject]
        plan = compile_source(SourceFile("random.nn", network.text)).plan
        feeds = NetworkFeeds(plan, network.domains).feeds
    assert report(plan, build(plan, sanitizer, tmp_path), feeds, tmp_path) == ""
