"""The cache of compiled programs: made once, found again; damage, crowds, and folders that cannot be used."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import pytest

from nnc.grammar.diagnostics import ToolchainError, UsageError
from nnc.runtime import store
from nnc.runtime.native import build, cache
from nnc.runtime.native.cache import clear, compile_library, included_headers
from nnc.runtime.native.folder import cache_folder, temporary_folder, writable_folder
from nnc.runtime.native.toolchain import Toolchain, find_toolchain
from nnc.runtime.store import entries, prune

needs_compiler = pytest.mark.skipif(find_toolchain().toolchain is None, reason="no C compiler here")
ANSWER = "int answer(void) { return 42; }\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test alone."""
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def counting(tmp_path: Path) -> Toolchain:
    """A compiler that copies the source into the library, and notes every call in `calls`."""
    script = tmp_path / "cc.sh"
    script.write_text(f'echo call >> {tmp_path}/calls\nwhile [ "$1" != -o ]; do shift; done\ncp "$3" "$2"\n')
    return Toolchain(("sh", str(script)), "counting 1.0", ("-O2",), "any")


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


def answer(library: Path) -> int:
    """What the library says in a process of its own, since a loaded library is never loaded again."""
    program = f"import ctypes; print(ctypes.CDLL({str(library)!r}).answer())"
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)


@needs_compiler
def test_a_program_is_compiled_and_runs(folder: Path) -> None:
    library = compile_library(ANSWER, name="answer")
    assert library.is_relative_to(folder)
    assert ctypes.CDLL(str(library)).answer() == 42
    assert sorted(path.name for path in library.parent.iterdir()) == [
        "answer.c", "answer.so", "sha256",
    ]  # fmt: skip


def test_the_same_program_is_compiled_once(tmp_path: Path, counting: Toolchain) -> None:
    first = compile_library(ANSWER, name="answer", toolchain=counting)
    assert compile_library(ANSWER, name="answer", toolchain=counting) == first
    assert calls(tmp_path) == 1


def test_whatever_the_library_depends_on_makes_another(
    tmp_path: Path, counting: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = tmp_path / "headers"
    headers.mkdir()
    (headers / "outer.h").write_text('#include "inner.h"\n')
    (headers / "inner.h").write_text("// one\n")
    monkeypatch.setattr(cache, "HEADERS", headers)
    source = '#include "outer.h"\n' + ANSWER
    assert included_headers(source, headers) == {"inner.h": "// one\n", "outer.h": '#include "inner.h"\n'}
    command, version, flags, cpu = counting.command, counting.version, counting.flags, counting.cpu
    others = [
        Toolchain((*command, "-m"), version, flags, cpu),
        Toolchain(command, "counting 1.1", flags, cpu),
        Toolchain(command, version, ("-O1",), cpu),
        Toolchain(command, version, flags, "avx512"),
    ]
    made = {compile_library(source, name="a", toolchain=toolchain) for toolchain in [counting, *others[1:]]}
    made.add(compile_library(source + "\n", name="a", toolchain=counting))
    (headers / "inner.h").write_text("// two\n")
    made.add(compile_library(source, name="a", toolchain=counting))
    assert len(made) == calls(tmp_path) == 6
    assert cache._key(source, {}, others[0]) != cache._key(source, {}, counting)


@pytest.mark.parametrize("damage", ["truncated", "emptied", "changed", "gone", "no checksum", "strange checksum"])
def test_a_damaged_library_is_made_again(damage: str, tmp_path: Path, counting: Toolchain) -> None:
    library = compile_library(ANSWER, name="answer", toolchain=counting)
    whole = library.read_bytes()
    match damage:
        case "truncated":
            library.write_bytes(whole[:-1])
        case "emptied":
            library.write_bytes(b"")
        case "changed":
            library.write_bytes(whole.replace(b"42", b"43"))
        case "gone":
            library.unlink()
        case "no checksum":
            (library.parent / "sha256").unlink()
        case _:
            (library.parent / "sha256").write_bytes(b"\xff\xfe")
    assert compile_library(ANSWER, name="answer", toolchain=counting) == library
    assert library.read_bytes() == whole
    assert calls(tmp_path) == 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [library.parent.name]


@needs_compiler
def test_a_library_in_use_survives_its_damaged_file(folder: Path) -> None:
    """A rebuilt library is a new file: one that is loaded keeps the old."""
    source = "static int numbers[100000] = {42};\nint answer(void) { return numbers[0]; }\n"
    library = compile_library(source, name="answer")
    loaded = ctypes.CDLL(str(library))
    (library.parent / "sha256").write_text("wrong")
    compile_library(source, name="answer")
    assert loaded.answer() == 42


CROWD = """
import ctypes, sys, time
from pathlib import Path
from nnc.runtime.native.cache import compile_library
while not Path(sys.argv[1]).exists(): time.sleep(0.001)
for number in range(4):
    source = f"int answer(void) {{ return {number}; }}\\n"
    assert ctypes.CDLL(str(compile_library(source, name="crowd"))).answer() == number
"""


@needs_compiler
def test_processes_that_compile_the_same_at_once_are_all_right(tmp_path: Path, folder: Path) -> None:
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(tmp_path / "go")], stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    time.sleep(0.3)
    (tmp_path / "go").touch()
    complaints = [process.communicate()[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 6, complaints
    assert len(entries(folder)) == 4
    assert not list(folder.glob(".nnc-unfinished-*"))


def make_entry(folder: Path, digit: str, used: float, size: int = 1000) -> Path:
    entry = folder / f"net-{digit * store.KEY_DIGITS}"
    entry.mkdir(parents=True)
    (entry / "net.so").write_bytes(bytes(size))
    os.utime(entry, (used, used))
    return entry


def test_the_longest_unused_go_first(folder: Path) -> None:
    old, middle, new = (make_entry(folder, digit, used) for digit, used in (("a", 100.0), ("c", 200.0), ("b", 300.0)))
    prune(folder, 2000)
    assert [entry.path for entry in entries(folder)] == [middle, new]
    prune(folder, 500, keep=middle)
    assert [entry.path for entry in entries(folder)] == [middle]
    assert not old.exists()


def test_a_new_program_makes_room_and_using_one_keeps_it(
    folder: Path, counting: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (compile_library(f"// {n}", name="a", toolchain=counting).parent for n in (1, 2))
    os.utime(first, (100, 100))
    os.utime(second, (200, 200))
    compile_library("// 1", name="a", toolchain=counting)
    monkeypatch.setattr(store, "LIMIT_BYTES", sum(entry.size_bytes for entry in entries(folder)))
    third = compile_library("// 3", name="a", toolchain=counting).parent
    assert [entry.path for entry in entries(folder)] == [first, third]


def test_what_a_killed_process_left_goes_after_an_hour(folder: Path) -> None:
    folder.mkdir()
    for name, age in (("old", 3700), ("new", 10)):
        (folder / f".nnc-unfinished-{name}").mkdir()
        os.utime(folder / f".nnc-unfinished-{name}", (time.time() - age,) * 2)
    prune(folder, 1 << 30)
    assert [path.name for path in folder.iterdir()] == [".nnc-unfinished-new"]


def test_clearing_leaves_what_is_not_ours(folder: Path, counting: Toolchain) -> None:
    compile_library(ANSWER, name="answer", toolchain=counting)
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter-1.tex").write_text("words")
    (folder / "toolchains.json").write_text("{}")
    assert len(clear(folder)) == 1
    assert [path.name for path in folder.iterdir()] == ["thesis"]
    assert clear(folder / "absent") == []


def test_a_folder_that_can_only_be_read_still_serves(
    tmp_path: Path, folder: Path, counting: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = compile_library(ANSWER, name="answer", toolchain=counting)
    real = tempfile.TemporaryFile
    refusing = lambda **where: _refuse() if where.get("dir") == folder else real(**where)  # noqa: E731
    monkeypatch.setattr("tempfile.TemporaryFile", refusing)  # root may write anywhere, so chmod would not do
    assert compile_library(ANSWER, name="answer", toolchain=counting) == known
    other = compile_library(ANSWER + "\n", name="answer", toolchain=counting)
    assert other.is_relative_to(temporary_folder(os.getpid()))
    assert compile_library(ANSWER + "\n", name="answer", toolchain=counting) == other
    assert calls(tmp_path) == 2


def _refuse() -> NoReturn:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("place", ["a file", "under a file"])
def test_a_folder_that_cannot_be_is_replaced(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / ("file" if place == "a file" else "file/cache")))
    assert writable_folder() == temporary_folder(os.getpid())


def test_a_full_disk_sends_the_program_elsewhere(
    tmp_path: Path, folder: Path, counting: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = temporary_folder(os.getpid())
    real = store._wait_until_on_disk

    def full(path: Path) -> None:
        if path.is_relative_to(folder):
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(store, "_wait_until_on_disk", full)
    library = compile_library(ANSWER, name="elsewhere", toolchain=counting)
    assert library.is_relative_to(temporary)
    assert not list(folder.iterdir())
    monkeypatch.setattr(store, "_wait_until_on_disk", lambda path: _refuse())
    with pytest.raises(UsageError, match=r"(?s)E0807.*neither in .* nor in .*permission denied"):
        compile_library("nowhere", name="nowhere", toolchain=counting)


def test_the_temporary_folder_goes_with_its_process_and_not_with_a_child(tmp_path: Path) -> None:
    program = (
        "import os\nfrom nnc.runtime.native.folder import temporary_folder\nfolder = temporary_folder(os.getpid())\n"
        "if os.fork() == 0:\n    assert temporary_folder(os.getpid()) != folder\n    raise SystemExit(0)\n"
        "os.wait()\nassert folder.is_dir()\nprint(folder)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
    assert not list(tmp_path.glob("nnc-*"))


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("NNC_CACHE_DIR")
    assert cache_folder() == tmp_path / "xdg" / "nnc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "nnc"


@needs_compiler
def test_a_refused_program_is_kept_with_what_was_said(folder: Path) -> None:
    with pytest.raises(ToolchainError, match="E0931") as raised:
        compile_library("int f(void) { return wrong; }\n", name="my net")
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.place is not None
    kept = Path(diagnostic.place)
    assert kept.read_text() == "int f(void) { return wrong; }\n"
    assert kept.is_relative_to(folder)
    assert any(note.startswith("my_net.c:1:") and "wrong" in note for note in diagnostic.notes)
    assert "wrong" in (kept.parent / "messages.txt").read_text()
    again = diagnostic.notes[-1].partition("to compile it again: ")[2]
    done = subprocess.run(again, shell=True, capture_output=True, text=True, check=False)
    assert "wrong" in done.stderr
    assert [entry.is_failure for entry in entries(folder)] == [True]


def test_a_compiler_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "cc.sh"
    script.write_text(f"(sleep 1; touch {tmp_path}/survived) &\nsleep 30\n")
    monkeypatch.setattr(build, "TIMEOUT_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(ToolchainError, match="E0932"):
        compile_library(ANSWER, name="slow", toolchain=Toolchain(("sh", str(script)), "slow", (), "any"))
    assert time.monotonic() - began < 5
    time.sleep(1.2)
    assert not (tmp_path / "survived").exists()


def test_a_compiler_that_vanished_is_told(counting: Toolchain) -> None:
    gone = Toolchain(("/nowhere/cc",), "gone", (), "any")
    with pytest.raises(ToolchainError, match=r"E0930.*/nowhere/cc.*no such file"):
        compile_library(ANSWER, name="answer", toolchain=gone)


@needs_compiler
@pytest.mark.parametrize("name", ["net", "../../etc", "", "ünï ©", "a" * 300, "-o"])
def test_any_name_is_a_file_name(name: str, folder: Path) -> None:
    library = compile_library(ANSWER, name=name)
    assert library.parent.parent == folder
    assert answer(library) == 42
    assert len(entries(folder)) == 1
    assert shutil.rmtree(folder) is None
