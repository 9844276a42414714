"""The smallest kernel, to see whether kernels are compiled here, and whether the GPU runs them and is right."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from nnc.runtime.finding import Finding

from .driver import Gpu

_ARCH_WITHOUT_GPU: Final = "sm_90"
_KERNEL: Final = """
extern "C" __global__ void trial(float *values) { values[threadIdx.x] = values[threadIdx.x] * 3 + 1; }
"""
_LANES: Final = 32


def try_compiler(gpu: Gpu | None) -> Finding:
    """Compile the kernel with NVRTC, which needs no GPU. Call it where the probe has found CuPy and NVRTC."""
    from cupy_backends.cuda.libs import nvrtc

    arch = gpu.arch if gpu is not None else _ARCH_WITHOUT_GPU
    began = time.perf_counter()
    program = nvrtc.createProgram(_KERNEL, "trial.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"-arch={arch}",))
        cubin = nvrtc.getCUBIN(program)
    except Exception as error:  # CuPy's own kinds
        log = str(nvrtc.getProgramLog(program)).strip() or str(error)
        return Finding("kernel", "", f"NVRTC compiles no kernel for {arch}", notes=(log.splitlines()[0],),
                       remedies=("pip install 'nnc[cuda13]' --force-reinstall",), code="E0948")  # fmt: skip
    finally:
        nvrtc.destroyProgram(program)
    if not cubin.startswith(b"\x7fELF"):
        return Finding("kernel", "", f"NVRTC makes no machine code for {arch}", code="E0948")
    return Finding("kernel", f"compiled for {arch} in {time.perf_counter() - began:.1f} s")


def try_gpu(gpu: Gpu) -> Finding:
    """Run the kernel and look at what it computed. Call it where the probe has found everything."""
    try:
        import cupy

        values = cupy.arange(_LANES, dtype=cupy.float32)
        cupy.RawKernel(_KERNEL, "trial")((1,), (_LANES,), (values,))
        found = values.get()
        free, total = cupy.cuda.runtime.memGetInfo()
    except Exception as error:  # whatever CuPy and the driver raise
        reason = f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
        return _failed(gpu, f"{gpu.name} runs no kernel", reason)
    if not np.array_equal(found, np.arange(_LANES, dtype=np.float32) * 3 + 1):
        return _failed(gpu, f"{gpu.name} computes wrong numbers", f"found {found.tolist()}")
    return Finding("trial", f"a kernel ran and is right; {free / 2**30:.1f} of {total / 2**30:.1f} GiB are free")


def _failed(gpu: Gpu, problem: str, reason: str) -> Finding:
    return Finding("trial", "", problem, notes=(reason,), code="E0947",
                   remedies=("`nvidia-smi` shows whether the GPU is well; restart the machine",))  # fmt: skip
