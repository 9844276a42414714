"""runtime/cuda/*.cuh, each function called, compiled for GPUs by NVRTC: needs CuPy's binding of it, but no GPU."""

from __future__ import annotations

from functools import cache

import pytest
from header_kernels import TEAM_TEXT, TILE_TEXT, math_text, philox_text, rows_text, vector_text

from nnc.runtime.cuda.cubins import compile_cubin

ARCHS = ("sm_80", "sm_90")
TEXTS = {
    "warp": vector_text(), "math": math_text(), "philox": philox_text(), "rows": rows_text(), "tile": TILE_TEXT,
}  # fmt: skip


@cache
def has_nvrtc() -> bool:
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except Exception:  # no package, or no library that it can load
        return False
    return True


@pytest.fixture(autouse=True)
def _needs_nvrtc() -> None:
    if not has_nvrtc():
        pytest.skip("no NVRTC")


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", TEXTS)
def test_headers_compile(name: str, arch: str) -> None:
    assert compile_cubin(TEXTS[name], arch, {"WIDTH": 10})[:4] == b"\x7fELF"


@pytest.mark.parametrize(
    ("team", "arch"),
    [("TEAM_BLOCK", "sm_80"), ("TEAM_GRID", "sm_80"), ("TEAM_BLOCK", "sm_90"), ("TEAM_CLUSTER", "sm_90"),
     ("TEAM_GRID", "sm_90")],
)  # fmt: skip
def test_teams_compile(team: str, arch: str) -> None:
    assert compile_cubin(TEAM_TEXT, arch, {team: 1})[:4] == b"\x7fELF"
