"""`nnc cache`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnc import cli
from nnc.runtime.native.cache import compile_library
from nnc.runtime.native.toolchain import Toolchain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two programs, which a copying compiler made."""
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cc.sh").write_text('while [ "$1" != -o ]; do shift; done\ncp "$3" "$2"\n')
    toolchain = Toolchain(("sh", str(tmp_path / "cc.sh")), "copying", (), "any")
    for source in ("one", "two"):
        compile_library(source, name="net", toolchain=toolchain)
    return tmp_path / "cache"


def test_cache_tells_what_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(file.stat().st_size for file in folder.glob("*/*"))
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out == f"folder   {folder}\nentries  2\nsize     {size} B of at most 256.00 MiB\n"
    assert cli.main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(folder), "entries": 2, "bytes": size, "limit_bytes": 256 * 1024 * 1024,
    }  # fmt: skip


def test_cache_is_cleared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "--clear"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("removed 2 entries, ")
    assert "entries  0\nsize     0 B of" in out
    assert not list(folder.iterdir())
    assert cli.main(["cache", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 0


def test_a_cache_that_was_never_used_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "absent"))
    assert cli.main(["cache"]) == 0
    assert "entries  0" in capsys.readouterr().out
    assert not (tmp_path / "absent").exists()
