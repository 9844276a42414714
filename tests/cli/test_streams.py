"""Standard output that takes nothing, and files that are no models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nnc import cli

ROOT = Path(__file__).resolve().parents[2]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = command.replace("nnc", f"{sys.executable} -m nnc", 1)
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=folder,
                          env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("verb", ["specs", "render wine", "compile wine --json", "--version"])
def test_a_full_output_is_named(verb: str, tmp_path: Path) -> None:
    done = shell(f"nnc {verb} >/dev/full", tmp_path)
    assert done.returncode == 2
    assert "error[E0807]: cannot write to standard output: no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("verb", ["specs", "compile wine"])
def test_a_closed_output_is_named(verb: str, tmp_path: Path) -> None:
    done = shell(f"nnc {verb} >&-", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error[E0807]: cannot write to standard output: it is closed")


def test_closed_diagnostics_do_not_matter(tmp_path: Path) -> None:
    assert shell("nnc specs 2>&-", tmp_path).returncode == 0
    assert shell("nnc specs >&- 2>&-", tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("name", "what"),
    [("my spec.nn", "`my spec.nn` is a spec, not a model"), ("rows.csv", "`rows.csv` is data, not a model"),
     ("wine", "`wine` is a spec, not a model"), ("rows.npz", "`rows.npz` is data, not a model")],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["evaluate", "summary"])
def test_what_is_no_model_is_said(
    verb: str, name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("my spec.nn", "rows.csv", "rows.npz"):
        (tmp_path / file).write_text("x\n1\n")
    assert cli.main([verb, name]) == 3
    told = capsys.readouterr().err
    assert f"error[E0922]: {what}" in told
    assert "'my spec.nn'" in told or name != "my spec.nn"
