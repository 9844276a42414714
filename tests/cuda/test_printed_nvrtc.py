"""Printed kernels compiled for GPUs by NVRTC: needs CuPy's binding of it, but no GPU.

`python -m pytest tests/cuda/test_printed_nvrtc.py` where `cupy-cuda13x` and `nvidia-cuda-nvrtc` are installed: bundled
specs and 200 different random networks, both for each architecture, for some or one of the kinds of launch. Takes some
25 minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_headers_nvrtc import ARCHS, has_nvrtc

sys.path.insert(0, str(Path(__file__).parent.parent / "native"))
from native_networks import spec_plan
from random_networks import first_networks

from nnc.commands.sources import bundled_names
from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime.cuda.cubins import compile_cubin
from nnc.runtime.cuda.graphs import TEAMS

COUNT = 200


@pytest.fixture(autouse=True)
def _needs_nvrtc() -> None:
    if not has_nvrtc():
        pytest.skip("no NVRTC")


def macros_for(arch: str) -> list[dict[str, int]]:
    """Of every kind of launch that the architecture knows."""
    return [dict(team.macros) for kind, team in TEAMS.items() if kind != "cluster" or arch == "sm_90"]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", bundled_names())
def test_bundled_specs_compile(name: str, arch: str) -> None:
    text = print_cuda_module(spec_plan(name)).text
    for macros in macros_for(arch)[:: 1 if name == "digits" else 3]:
        assert compile_cubin(text, arch, macros)[:4] == b"\x7fELF"


@pytest.mark.parametrize("arch", ARCHS)
def test_random_networks_compile(arch: str) -> None:
    """Each for one kind of launch, in turn."""
    ways = macros_for(arch)
    for number, network in enumerate(first_networks(COUNT, seed=21)):
        plan = compile_source(SourceFile("random.nn", network.text)).plan
        text = print_cuda_module(plan).text
        assert compile_cubin(text, arch, ways[number % len(ways)])[:4] == b"\x7fELF", network.text
