"""pool.h, alone: barriers, jobs, several pools, forks; both ways of sleeping, also under ThreadSanitizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnc.runtime.native.cache import HEADERS
from nnc.runtime.native.toolchain import find_toolchain

TOOLCHAIN = find_toolchain().toolchain
PROGRAM = Path(__file__).parent / "pool_program.c"
THREAD_SANITIZER = ("-O1", "-g", "-fsanitize=thread")
VARIANTS = {
    "futex": ("-O2",),
    "condition": ("-O2", "-DPOOL_WITHOUT_FUTEX"),
    "futex-thread": THREAD_SANITIZER,
    "condition-thread": (*THREAD_SANITIZER, "-DPOOL_WITHOUT_FUTEX"),
    "futex-address": ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"),
}

pytestmark = pytest.mark.skipif(TOOLCHAIN is None, reason="no C compiler here")


@pytest.fixture(scope="module", params=VARIANTS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test program in one variant, after which the file is named; a sanitizer that is not there is skipped."""
    assert TOOLCHAIN is not None
    folder = tmp_path_factory.mktemp("pool")
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{HEADERS}", *VARIANTS[request.param]]
    program = folder / str(request.param)
    done = subprocess.run(
        [*TOOLCHAIN.command, *flags, "-o", program, PROGRAM], capture_output=True, text=True, check=False
    )
    sanitizer = any("-fsanitize" in flag for flag in flags)
    if sanitizer and done.returncode != 0:
        assert "pool.h" not in done.stderr, done.stderr
        pytest.skip("the compiler has no such sanitizer")
    assert done.returncode == 0, done.stderr
    return program


def run(program: Path, *words: object) -> str:
    options = {"TSAN_OPTIONS": "halt_on_error=1"}
    done = subprocess.run(
        [program, *map(str, words)],
        env={**os.environ, **options},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[:4000]
    assert "WARNING" not in done.stderr, done.stderr[:4000]
    return done.stdout


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_a_barrier_holds_everyone_and_shows_everything(program: Path, threads: int) -> None:
    assert "ns per barrier" in run(program, "barriers", threads, 10_000)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_job_runs_once_on_every_thread(program: Path, threads: int) -> None:
    run(program, "jobs", threads, 2000, 0)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_that_sleep_are_woken(program: Path, threads: int) -> None:
    run(program, "jobs", threads, 40, 5000)


def test_two_pools_at_once(program: Path) -> None:
    run(program, "two_pools", 2, 3)


@pytest.mark.parametrize("threads", [1, 3])
def test_pools_come_and_go(program: Path, threads: int) -> None:
    run(program, "churn", threads, 1000)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_forked_child_has_threads_of_its_own(program: Path, threads: int) -> None:
    if program.name.endswith("-thread"):
        pytest.skip("ThreadSanitizer takes the child's threads for the parent's")
    run(program, "fork", threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_denormals_are_zero_inside_and_the_callers_setting_comes_back(program: Path, threads: int) -> None:
    run(program, "denormals", threads)


def test_threads_that_cannot_be_had_leave_none_behind(program: Path) -> None:
    if "-" in program.name or not sys.platform.startswith("linux"):
        pytest.skip("a sanitizer needs all the address space, whose end is how threads are refused here")
    run(program, "refused")


def test_the_header_reads_no_other(tmp_path: Path) -> None:
    assert "#include" not in (HEADERS / "pool.h").read_text()
