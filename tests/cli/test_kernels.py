"""`nnc compile --device gpu`: kernels ahead of time, with NVRTC where that is installed and no GPU anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nnc.cli import main
from nnc.commands import kernels
from nnc.grammar.diagnostics import UsageError
from nnc.runtime.cuda import cubins, driver
from nnc.runtime.cuda.driver import Driver, Gpu


def has_nvrtc() -> bool:
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except Exception:  # not installed, or its library is not
        return False
    return True


needs_nvrtc = pytest.mark.skipif(not has_nvrtc(), reason="NVRTC and CuPy are not installed")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, int]]]:
    """A stand-in for NVRTC: what it was asked to compile, for which GPU and with which macros."""
    asked: list[tuple[str, Mapping[str, int]]] = []

    def compile(text: str, name: str, arch: str, macros: Mapping[str, int]) -> bytes:
        assert text.startswith(f"/* {name}: batches of at most")
        asked.append((arch, macros))
        return f"{arch} {sorted(macros)}".encode()

    monkeypatch.setattr(cubins, "kept_cubin", compile)
    return asked


def test_every_way_to_launch_is_compiled(
    compiled: list[tuple[str, Mapping[str, int]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "digits.cubin"
    assert main(["compile", "digits", "--device", "gpu", "--arch", "sm_90", "-o", str(target)]) == 0
    assert [arch for arch, _ in compiled] == ["sm_90"] * 5
    assert len({tuple(sorted(macros.items())) for _, macros in compiled}) == 5
    assert target.read_bytes() == b"sm_90 []"
    out, err = capsys.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()] == [
        "kernels of digits for sm_90", "graph", "block", "wide block", "cluster", "grid",
    ]  # fmt: skip
    assert str(target) in err


def test_older_gpus_have_no_clusters(compiled: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "digits", "--device", "gpu", "--arch", "sm_80", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert list(facts["kinds"]) == ["graph", "block", "wide block", "grid"]
    assert facts | {"model": "digits", "arch": "sm_80"} == facts


def test_the_gpu_here_is_the_default(compiled: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: Driver((13, 0), (Gpu("NVIDIA L4", (8, 9), 24 << 30, 58),)))
    assert kernels.chosen_arch(None) == "sm_89"
    monkeypatch.setattr(driver, "ask_driver", lambda: None)
    with pytest.raises(UsageError, match="--arch"):
        kernels.chosen_arch(None)


def test_options_that_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--arch", "sm_90"], ["--device", "gpu", "--arch", "sm_90", "--stop-after", "ops"]):
        assert main(["compile", "digits", *options]) == 2
        assert "E0801" in capsys.readouterr().err


def test_the_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "digits", "--emit", "cuda"]) == 0
    assert 'extern "C" __global__' in capsys.readouterr().out


@needs_nvrtc
def test_nvrtc_makes_machine_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    target = tmp_path / "logic.cubin"
    assert main(["compile", "logic_and", "--device", "gpu", "--arch", "sm_80", "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x7fELF")
    assert len(list((tmp_path / "cache").glob("logic_and-*/logic_and.cubin"))) == 4


@needs_nvrtc
def test_an_unknown_gpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "logic_and", "--device", "gpu", "--arch", "h100"]) == 4
    assert "E0948" in capsys.readouterr().err
