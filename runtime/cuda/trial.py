"""The smallest kernel, to see whether kernels are compiled here, and whether the GPU runs them and is right.

A broken driver may end the process that calls it, or never answer. So who asks what is broken tries in another process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from nnc.grammar.diagnostics import ToolchainError
from nnc.runtime.finding import Finding

from .device import Device
from .driver import Gpu, ask_driver

TIMEOUT_SECONDS: Final = 120
_SUBJECTS: Final = {"try_compiler": "kernel", "try_gpu": "trial"}
_ARCH_WITHOUT_GPU: Final = "sm_90"
_KERNEL: Final = """
extern "C" __global__ void trial(float *values) { values[threadIdx.x] = values[threadIdx.x] * 3 + 1; }
"""
_LANES: Final = 32
_WELL: Final = "`nvidia-smi` shows whether the GPU is well; restart the machine"


def in_own_process(trial: str) -> Finding:
    """What "try_compiler" or "try_gpu" finds for the first GPU, or how the process that tried it ended."""
    code = f"from nnc.runtime.cuda import trial; trial.tell({trial!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subject = _SUBJECTS[trial]
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        problem = f"the smallest kernel gives no answer within {TIMEOUT_SECONDS} seconds"
        return Finding(subject, "tried", problem, remedies=(_WELL,), code="E0947")
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout)
        lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list)}
        return Finding(**{**found, **lists})
    ending = f"exit code {done.returncode}"
    if done.returncode < 0:
        ending = f"signal {-done.returncode} ({signal.strsignal(-done.returncode)})"
    last = done.stderr.strip().splitlines()[-1:]
    return Finding(subject, "tried", f"CUDA's libraries end the process that calls them: {ending}", notes=tuple(last),
                   remedies=(_WELL,), code="E0947")  # fmt: skip


def tell(trial: str) -> None:
    """In that process: try it, and print what was found."""
    driver = ask_driver()
    gpu = driver.gpus[0] if driver is not None and driver.gpus else None
    tries: dict[str, Callable[..., Finding]] = {"try_compiler": try_compiler, "try_gpu": try_gpu}
    print(json.dumps(asdict(tries[trial](gpu))))


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
        return Finding("kernel", "tried", f"NVRTC compiles no kernel for {arch}", notes=(log.splitlines()[0],),
                       remedies=("pip install 'nnc[cuda13]' --force-reinstall",), code="E0948")  # fmt: skip
    finally:
        nvrtc.destroyProgram(program)
    if not cubin.startswith(b"\x7fELF"):
        return Finding("kernel", "", f"NVRTC makes no machine code for {arch}", code="E0948")
    return Finding("kernel", f"compiled for {arch} in {time.perf_counter() - began:.1f} s")


def try_gpu(gpu: Gpu, start: Callable[[], Device] | None = None) -> Finding:
    """Run the kernel and look at what it computed. Call it where the probe has found everything.

    start: gives the device, by default the one that sessions run on.
    """
    numbers = np.arange(_LANES, dtype=np.float32)
    found, what = numbers.copy(), f"a kernel for {gpu.arch}"
    try:
        device = (start or _started)()
        address = device.allocate(found.nbytes)
        device.upload(address, numbers)
        device.load(_KERNEL, "trial", {}).launch("trial", 1, _LANES, 0, (address,))
        device.download(found, address)
        device.free(address)
        free, total = device.free_bytes(), device.total_bytes
    except ToolchainError as error:
        problem = error.diagnostics[0]
        return Finding("trial", what, problem.message, notes=problem.notes, remedies=(_WELL,), code=problem.code)
    if not np.array_equal(found, numbers * 3 + 1):
        return Finding("trial", what, f"{gpu.name} computes wrong numbers", notes=(f"found {found.tolist()}",),
                       remedies=(_WELL,), code="E0947")  # fmt: skip
    return Finding("trial", f"a kernel ran and is right; {free / 2**30:.1f} of {total / 2**30:.1f} GiB are free")


def _started() -> Device:
    from .cupy_device import CupyDevice

    return CupyDevice()
