"""Finding the C compiler: the order, what is remembered, and what is said when none works."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnc.grammar.diagnostics import ToolchainError
from nnc.runtime.native import toolchain
from nnc.runtime.native.process import run_compiler
from nnc.runtime.native.toolchain import MEMORY, find_toolchain, require_toolchain

FAKE = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *--version*) echo "fake 1.0"; exit 0;; esac
{action}
"""
MAKE_A_LIBRARY = 'while [ "$1" != -o ]; do shift; done; echo > "$2"'


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)


def install(folder: Path, name: str, action: str = MAKE_A_LIBRARY) -> Path:
    """A compiler that notes how it is called, and does `action` when it is to compile."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(FAKE.format(log=folder / f"{name}.log", action=action))
    path.chmod(0o755)
    return path


def calls(folder: Path, name: str) -> list[str]:
    log = folder / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH with what /bin/sh needs, but no compiler except those in `folder`."""
    monkeypatch.setenv("PATH", str(folder))


def test_compilers_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(tmp_path / "bin", monkeypatch)
    for name in ("clang", "gcc", "cc"):
        path = install(tmp_path / "bin", name)
        found = find_toolchain().toolchain
        assert found is not None
        assert found.command == (str(path),)
        assert found.version == "fake 1.0"
    path = install(tmp_path / "bin", "mine")
    monkeypatch.setenv("CC", f"{path} -DNAME='two words'")
    found = find_toolchain().toolchain
    assert found is not None
    assert found.command == (str(path), "-DNAME=two words")
    assert any("-DNAME=two words" in call for call in calls(tmp_path / "bin", "mine"))


def test_a_compiler_that_cannot_compile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(tmp_path / "bin", monkeypatch)
    install(tmp_path / "bin", "cc", "echo 'ld: error: cannot find crti.o' >&2; exit 1")
    install(tmp_path / "bin", "gcc", "exit 0")
    path = install(tmp_path / "bin", "clang")
    found = find_toolchain()
    assert found.toolchain is not None
    assert found.toolchain.command == (str(path),)
    path.unlink()
    assert "cc: ld: error: cannot find crti.o; gcc: it makes no library; clang: not found" in find_toolchain().reason


def test_no_other_is_tried_in_place_of_cc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(tmp_path / "bin", monkeypatch)
    install(tmp_path / "bin", "cc")
    monkeypatch.setenv("CC", "absent")
    found = find_toolchain()
    assert found.toolchain is None
    assert found.problems == ("absent: not found",)
    with pytest.raises(ToolchainError, match="E0930") as raised:
        require_toolchain()
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("echo 'false 9.1'; exit 1", "it ends with exit code 1: false 9.1"),    # as coreutils' false does
        ("exit 3", "it ends with exit code 3"),
        ("echo usage; echo '  fatal error: no input' >&2; exit 1", "fatal error: no input"),
        ("exit 0", "it makes no library"),
    ],
)
def test_what_is_no_compiler_is_told_from_one(
    says: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "none"
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    assert find_toolchain().problems == (f"{path}: {reason}",)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_processor_of_32_bits_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The headers multiply integers to 128 bits, which compilers have for wider processors alone."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    monkeypatch.setenv("CC", f"{name} -U__SIZEOF_INT128__")
    assert "a 64-bit processor is needed" in find_toolchain().reason


def test_no_answer_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "PROBE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setenv("CC", str(install(tmp_path / "bin", "slow", "exec sleep 5")))
    assert "no answer within 0.2 s" in find_toolchain().reason


def test_what_was_found_is_remembered_until_the_compiler_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path / "bin", monkeypatch)
    path = install(tmp_path / "bin", "cc")
    first = find_toolchain()
    asked = len(calls(tmp_path / "bin", "cc"))
    assert find_toolchain() == first
    assert len(calls(tmp_path / "bin", "cc")) == asked
    os.utime(path, ns=(0, 0))
    assert find_toolchain() == first
    assert len(calls(tmp_path / "bin", "cc")) == 2 * asked


@pytest.mark.parametrize("text", ["", "[]", "{", '{"COMMAND": 3}', '{"COMMAND": {"identity": [], "toolchain": {}}}'])
def test_a_damaged_memory_is_made_anew(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(tmp_path / "bin", "cc")
    only(tmp_path / "bin", monkeypatch)
    first = find_toolchain()
    memory = tmp_path / "cache" / MEMORY
    assert list(json.loads(memory.read_text())) == [str(path)]
    memory.write_text(text.replace("COMMAND", str(path)))
    assert find_toolchain() == first
    assert json.loads(memory.read_text())[str(path)]["toolchain"]["version"] == "fake 1.0"


def test_target_flags_are_the_best_that_the_compiler_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = 'case "$*" in *native*) echo "error: unknown argument" >&2; exit 1;; esac'
    monkeypatch.setenv("CC", str(install(tmp_path / "bin", "old", f"{refuses}\n{MAKE_A_LIBRARY}")))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    found = find_toolchain().toolchain
    assert found is not None
    assert not any("native" in flag for flag in found.flags)
    assert "-O2" in found.flags


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_real_compilers_use_whole_registers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector as wide as the machine has them is one register, which clang must be told."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    monkeypatch.setenv("CC", name)
    found = find_toolchain().toolchain
    assert found is not None, find_toolchain().reason
    source = tmp_path / "sum.c"
    source.write_text(
        "typedef float vector __attribute__((vector_size(64)));\n"
        "void sum(vector *a, vector *b) { *a += *b; }\nint wide(void) {\n"
        "#ifdef __AVX512F__\nreturn 1;\n#else\nreturn 0;\n#endif\n}\n"
    )
    library = tmp_path / "sum.so"
    subprocess.run([*found.command, *found.flags, "-o", library, source], check=True)
    if not ctypes.CDLL(str(library)).wide():
        pytest.skip("no AVX-512 here")
    listing = tmp_path / "sum.s"
    subprocess.run([*found.command, *found.flags, "-S", "-o", listing, source], check=True, stderr=subprocess.DEVNULL)
    assert "zmm" in listing.read_text()
    assert "ymm" not in listing.read_text()


def test_zig_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler in PATH, `python -m ziglang cc` serves, if the package is installed."""
    only(tmp_path, monkeypatch)
    found = find_toolchain()
    if found.toolchain is None:
        assert found.problems[-1] == f"{sys.executable} -m ziglang cc: the package ziglang is not installed"
        return
    assert shlex.join(found.toolchain.command).endswith("-m ziglang cc")
    assert found.toolchain.version.startswith("clang version")


def test_zig_gets_a_place_where_its_own_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it would wait for ever."""
    (tmp_path / "ziglang.py").write_text("import os\nprint(os.environ.get('ZIG_GLOBAL_CACHE_DIR'))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    command = [sys.executable, "-m", "ziglang", "cc"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert run_compiler(command, 10).output == "None\n"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert run_compiler(command, 10).output == f"{tmp_path / 'cache' / '.nnc-zig'}\n"
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "chosen")
    assert run_compiler(command, 10).output == "chosen\n"
