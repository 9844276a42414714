"""Which runtime executes a plan, on which device: what was asked for, or the quickest that works here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.runtime.protocol import Runtime

AUTO: Final = "auto"
ON_CPU: Final = ("native", "reference")
ON_GPU: Final = "cuda"
NAMES: Final = (AUTO, *ON_CPU, ON_GPU)
DEVICES: Final = ("cpu", "gpu", AUTO)
Tell = Callable[[str], None]
_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class Execution:
    """What is to execute plans, as the user asked for it.

    runtime: "native" compiled C, "reference" NumPy, "cuda" kernels on an NVIDIA GPU; "auto" those that the device has,
    of the processor native where there is a C compiler. device: "cpu"; "gpu"; "auto", a GPU if one works, else the
    processor; None for that of the runtime, and for the processor if that is "auto" too. threads: how many "native"
    uses, by default all that the process may use, or one where that is quicker; results do not depend on it.
    The environment variable NNC_RUNTIME stands for the runtime "auto" wherever the device does not say otherwise.
    """

    runtime: str = AUTO
    device: str | None = None
    threads: int | None = None

    def open(self, warn: Tell | None = None, note: Tell | None = None) -> Runtime:
        """The runtime to use. warn: called with what it is, and why no quicker one; note: with which GPU was taken.

        Both are called for "auto" alone, and once in a process with the same text.
        Raises: UsageError E0823 for another name, E0826 for another device or one that the runtime does not run on;
        ToolchainError E0930 for "native" without a compiler, E0940-E0945 for a GPU that cannot be used.
        """
        self._check()
        if self.runtime == ON_GPU or self.device == "gpu":
            return _cuda()
        if self.runtime != AUTO:
            return _on_cpu(self.runtime, self.threads, warn)
        if self.device == AUTO:
            return self._where_it_works(warn, note)
        chosen = _environment()
        if chosen == ON_GPU and self.device is None:
            return _cuda()
        return _on_cpu(AUTO if chosen == ON_GPU else chosen, self.threads, warn)

    def _check(self) -> None:
        if self.runtime not in NAMES:
            raise _no_such_runtime(self.runtime)
        if self.device is not None and self.device not in DEVICES:
            notes = (f"there are {_listed(DEVICES)}",)
            raise UsageError(Diagnostic("E0826", f"there is no device `{self.device}`", notes=notes))
        if (self.runtime in ON_CPU and self.device == "gpu") or (self.runtime == ON_GPU and self.device == "cpu"):
            text = f"the runtime `{self.runtime}` does not run on the device `{self.device}`"
            helps = ("give one of the two: either says the other",)
            raise UsageError(Diagnostic("E0826", text, helps=helps))

    def _where_it_works(self, warn: Tell | None, note: Tell | None) -> Runtime:
        """A GPU if all that it needs is there, else the processor, and why."""
        from nnc.runtime.cuda.probe import probe

        found = probe()
        if found.is_ready and found.gpu is not None:
            _tell_once(f"device auto: the GPU {found.gpu.name}, since all that it needs is there", note)
            return _cuda()
        chosen = _environment()
        runtime = _on_cpu(AUTO if chosen == ON_GPU else chosen, self.threads, warn)
        _tell_once(f"device auto: the processor (runtime {runtime.name}), since {found.reason}; `nnc doctor` says more",
                   warn)  # fmt: skip
        return runtime


def tell_precision(runtime: Runtime, precision: str, warn: Tell) -> None:
    """Say, once in a process, where a runtime computes products to another precision than the plan lets it round to."""
    if precision == "tf32" and runtime.name in ON_CPU:
        text = f"`precision = tf32` rounds on a GPU alone; the runtime {runtime.name} computes products in float32"
        _tell_once(text, warn)


def _environment() -> str:
    """What NNC_RUNTIME says."""
    chosen = os.environ.get("NNC_RUNTIME", AUTO)
    if chosen not in NAMES:
        raise _no_such_runtime(chosen, " (from NNC_RUNTIME)")
    return chosen


def _no_such_runtime(name: str, where: str = "") -> UsageError:
    notes = (f"there are {_listed(NAMES)}",)
    return UsageError(Diagnostic("E0823", f"there is no runtime `{name}`{where}", notes=notes))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cuda() -> Runtime:
    from nnc.runtime.cuda.probe import require_gpu

    require_gpu()
    from nnc.runtime.cuda.session import CudaRuntime

    return CudaRuntime()


def _on_cpu(name: str, threads: int | None, warn: Tell | None) -> Runtime:
    from nnc.runtime.reference import ReferenceRuntime

    if name == "reference":
        return ReferenceRuntime()
    from nnc.runtime.native.toolchain import find_toolchain, require_toolchain

    if name == "native":
        require_toolchain()
    else:
        found = find_toolchain()
        if found.toolchain is None:
            _tell_once(
                "no C compiler works here, so NumPy does the work; gcc, clang or `pip install 'nnc[native]'` would make"
                f" it several times faster ({found.reason})",
                warn,
            )
            return ReferenceRuntime()
    from nnc.runtime.native.session import NativeRuntime

    return NativeRuntime(threads)


def _tell_once(text: str, tell: Tell | None) -> None:
    if tell is not None and text not in _told:
        _told.add(text)
        tell(text)
