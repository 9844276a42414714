"""Printed C on processors that this machine has not, which QEMU emulates, held to the reference runtime.

The functions of the headers, one by one, are held to NumPy there too: test_vector.py, test_vector_math.py,
test_quotients.py and test_philox.py take the same processors. aarch64 has NEON, four lanes of float32; riscv64, as its
compiler is asked for it, has no vectors, so that each lane is computed by itself.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compiled import HEADERS
from native_networks import NetworkFeeds, check_session, outcome, spec_feeds, spec_plan
from other_processors import OTHERS, Processor, emulation, lacking
from test_native_networks import shared_everywhere

from nnc.compiler.codegen.module import print_module
from nnc.compiler.codegen.target import VECTOR128
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile
from nnc.runtime.native.library import Job
from nnc.runtime.native.session import NativeSession
from nnc.runtime.native.toolchain import FLAGS

PROGRAM = Path(__file__).parent / "run_steps.c"
each_processor = pytest.mark.parametrize(
    "processor",
    [pytest.param(o, marks=pytest.mark.skipif(bool(lacking(o)), reason=lacking(o))) for o in OTHERS],
    ids=str,
)
NETWORKS = {
    "float32": """
input words: int32[3]
input wide: float32[6]
text = words -> Embedding(20, 4) -> Flatten
both = (text, wide) -> Concatenate -> Dense(19, relu) -> Dropout(0.3)
output kind = (both, wide) -> Concatenate -> Dense(5, softmax) { loss = sparse_categorical_crossentropy }
train { optimizer = sgd(0.01), batch_size = 13, clip_norm = 1, seed = 3 }
""",
    "float64": """
input wide: float64[6]
deep = wide -> Dense(19, softplus) -> Dropout(0.3) -> Dense(6, sigmoid)
output kind = (deep, wide) -> Add -> Dense(5, softmax) { loss = sparse_categorical_crossentropy }
train { optimizer = rmsprop(0.01), batch_size = 13, seed = 3 }
""",
}  # no width is whole vectors
DOMAINS = {"words": ("index", 20), "wide": ("real", 0), "kind": ("class", 5)}


class EmulatedPrograms:
    """The functions of a compiled plan as a session calls them (runtime/native/library.py), each call a process."""

    def __init__(self, plan: Plan, processor: Processor, folder: Path) -> None:
        self._plan, self._module, self._folder = plan, print_module(plan, VECTOR128), folder
        self._program = [*emulation(processor), str(folder / "steps")]
        (folder / "plan.c").write_text(self._module.text, encoding="utf-8")
        flags = [flag for flag in FLAGS if flag not in ("-shared", "-fPIC")]
        built = subprocess.run(
            [*processor.compiler, *flags, f"-I{HEADERS}", f'-DPLAN="{folder / "plan.c"}"', str(PROGRAM),
             "-o", str(folder / "steps"), "-lm"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stderr[:2000]

    def session(self, threads: int) -> NativeSession:
        return NativeSession(self._plan, self._module, self, (threads,))

    def make_pool(self, threads: int) -> int:
        """Each process makes its own: this says only that there is one."""
        return threads

    def end_pool(self, pool: int) -> None:
        """Ended with its process."""

    def run(self, pool: int | None, number: int, job: Job) -> None:
        """As `nnc_run`: the process is given the arena, and the samples in the order in which it asks for them."""
        entry = next(entry for entry in self._module.entries if entry.number == number)
        rows = np.ctypeslib.as_array(ctypes.cast(job.numbers, ctypes.POINTER(ctypes.c_int64)), (job.count,))[::-1]
        size, place = self._plan.arena_bytes, job.memory.work
        (self._folder / "arena").write_bytes(ctypes.string_at(place, size))
        scratch = -(-self._module.scratch_bytes // 128) * 128
        said = [f"{self._folder / 'arena'} {size} {self._module.piece_bytes} {scratch} {job.threads} {job.batch}"]
        said.append(f"{number} {int(pool is not None)} {job.count} {len(entry.feeds)}")
        for feed, given in zip(entry.feeds, job.feeds, strict=False):
            samples = b"".join(ctypes.string_at(given.data + int(row) * given.stride, feed.row_bytes) for row in rows)
            path = self._folder / f"feed.{feed.name}"
            path.write_bytes(samples)
            said.append(f"{path} {len(samples)} {feed.row_bytes}")
        done = subprocess.run(self._program, input="\n".join(said).encode(), capture_output=True, check=False)
        assert (done.returncode, len(done.stdout)) == (0, size), done.stderr.decode("utf-8", "replace")
        ctypes.memmove(place, done.stdout, size)


@each_processor
@pytest.mark.parametrize("name", ["digits", "residual"])
def test_bundled_specs_equal_the_reference(name: str, processor: Processor, tmp_path: Path) -> None:
    plan = spec_plan(name)
    programs = EmulatedPrograms(plan, processor, tmp_path)
    check_session(programs.session(threads=2), plan, spec_feeds(plan), steps=2)


@each_processor
@pytest.mark.parametrize("dtype", list(NETWORKS))
def test_shared_steps_equal_the_reference_and_those_of_one_thread(
    dtype: str, processor: Processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step that has a loop is shared by three threads."""
    shared_everywhere(monkeypatch)
    plan = compile_source(SourceFile("small.nn", NETWORKS[dtype])).plan
    feeds = NetworkFeeds(plan, DOMAINS).feeds
    programs = EmulatedPrograms(plan, processor, tmp_path)
    check_session(programs.session(threads=3), plan, feeds, steps=3)
    assert outcome(programs.session(threads=3), feeds, steps=2) == outcome(programs.session(threads=1), feeds, steps=2)
