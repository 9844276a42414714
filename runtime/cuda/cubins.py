"""CUDA C compiled to cubins by NVRTC, which needs no GPU; each is compiled once for what it depends on.

NVRTC is found through CuPy's binding of it, which asks for no driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nnc.grammar.diagnostics import NncError, ToolchainError
from nnc.runtime import store
from nnc.runtime.finding import refuse
from nnc.runtime.native.cache import included_headers

from .probe import probe
from .refusals import kernels_refused, no_such_arch

HEADERS: Final = Path(__file__).parent
FLAGS: Final = ("-std=c++17",)
MESSAGES: Final = "messages.txt"


def compile_cubin(text: str, arch: str, macros: Mapping[str, int] | None = None) -> bytes:
    """The cubin that NVRTC makes of CUDA C for `arch`, "sm_90"; headers are those of this folder.

    Raises: ToolchainError E0942-E0944 where there is no NVRTC that works, E0948 for an `arch` that it does not know
    and, with what it says, for a text that it refuses.
    """
    cubin = _compiled(_nvrtc(), text, included_headers(text, HEADERS), _options(arch, macros or {}), arch)
    if isinstance(cubin, str):
        raise kernels_refused(arch, cubin)
    return cubin


def kept_cubin(text: str, name: str, arch: str, macros: Mapping[str, int]) -> bytes:
    """The same, from the cache if it was made before. name: of the model, for people. Raises: as `compile_cubin`.

    One from the cache costs no NVRTC, whose library takes most of a second to load.
    """
    headers, options, label = included_headers(text, HEADERS), _options(arch, macros), store.label_of(name)

    def make(folder: Path) -> Callable[[Path], NncError] | None:
        for file, content in {**headers, f"{label}.cu": text}.items():
            (folder / file).write_text(content, encoding="utf-8")
        cubin = _compiled(_nvrtc(), text, headers, options, arch)
        if isinstance(cubin, str):
            (folder / MESSAGES).write_text(cubin, encoding="utf-8")
            return lambda failed: _kept(kernels_refused(arch, cubin), failed, f"{label}.cu")
        (folder / f"{label}.cubin").write_bytes(cubin)
        return None

    key = store.key_of([text, headers, options, _cuda_version()])
    return store.keep(f"{label}-{key}", f"{label}.cubin", make).read_bytes()


def _options(arch: str, macros: Mapping[str, int]) -> tuple[str, ...]:
    return (f"-arch={arch}", *FLAGS, *(f"-D{name}={value}" for name, value in sorted(macros.items())))


def _compiled(nvrtc: Any, text: str, headers: Mapping[str, str], options: tuple[str, ...], arch: str) -> bytes | str:
    """The cubin, or what NVRTC says against the text. Raises: ToolchainError E0948 for an unknown `arch`."""
    known = [f"sm_{number}" for number in sorted(nvrtc.getSupportedArchs())]
    if arch.rstrip("af") not in known:
        raise no_such_arch(arch, known)
    contents = tuple(content.encode() for content in headers.values())
    program = nvrtc.createProgram(text, "kernels.cu", contents, tuple(name.encode() for name in headers))
    try:
        nvrtc.compileProgram(program, options)
        return bytes(nvrtc.getCUBIN(program))
    except nvrtc.NVRTCError as error:
        return str(nvrtc.getProgramLog(program)).strip() or str(error)
    finally:
        nvrtc.destroyProgram(program)


def _cuda_version() -> int:
    """Of CUDA that CuPy was built for, 12080: a driver loads no cubins of a newer one. Raises: ToolchainError E0942."""
    try:
        from cupy_backends.cuda.api import runtime

        return int(runtime.runtimeGetVersion())
    except Exception:
        refuse(finding for finding in probe().findings if finding.subject == "CuPy")
        raise


def _nvrtc() -> Any:
    """CuPy's binding of NVRTC, its library loaded. Raises: ToolchainError E0942-E0944."""
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except Exception:  # whatever is missing or broken: the probe says it well
        refuse(finding for finding in probe().findings if finding.subject in ("CuPy", "NVRTC"))
        raise
    return nvrtc


def _kept(error: ToolchainError, folder: Path, file: str) -> ToolchainError:
    """The same error, with the place of the refused text, which lies in `folder` beside its headers."""
    return ToolchainError(*(replace(diagnostic, place=str(folder / file)) for diagnostic in error.diagnostics))
