"""What `nnc verify` and `nnc doctor` do on a GPU, on an emulated device."""

from __future__ import annotations

import pytest
from cuda_sessions import NOISY
from emulated import needs_compiler
from emulated_device import EmulatedDevice

from nnc.commands.sources import bundled_path
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime.agreement import compare
from nnc.runtime.cuda import trial
from nnc.runtime.cuda.driver import Gpu
from nnc.runtime.cuda.session import CudaRuntime
from nnc.runtime.data.made_up import made_up

pytestmark = needs_compiler
GPU = Gpu("an emulated GPU", (9, 0), 1 << 30, 2)


@pytest.mark.parametrize("name", ["digits", "autoencoder", "noisy"])
def test_cuda_agrees_with_the_reference(name: str) -> None:
    path = bundled_path(name)
    source = SourceFile(path.name, path.read_text("utf-8")) if path is not None else SourceFile("noisy.nn", NOISY)
    compiled = compile_source(source, CompileOptions(batch_size=16))
    samples = made_up(compiled.plan, compiled.network.outputs, 2 * 16 - 5, 1)
    tensors = compare(compiled.plan, samples, [CudaRuntime(EmulatedDevice())], steps=2)
    assert not [tensor for tensor in tensors if tensor.disagreeing()]


def test_the_smallest_kernel_runs() -> None:
    found = trial.try_gpu(GPU, EmulatedDevice)
    assert found.status == "ok"
    assert found.found == "a kernel ran and is right; 1.0 of 1.0 GiB are free"


def test_wrong_numbers_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_KERNEL", trial._KERNEL.replace("* 3", "* 2"))
    found = trial.try_gpu(GPU, EmulatedDevice)
    assert (found.status, found.code) == ("wrong", "E0947")
