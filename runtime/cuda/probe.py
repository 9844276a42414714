"""What a GPU needs before it can run a plan, each thing looked for: driver, GPU, CuPy, NVRTC, cuBLASLt.

`probe` looks, `require_gpu` refuses (E0940-E0945). CuPy is imported here and no earlier: only who asks for a GPU pays
for it. What was found is not kept for another process: a driver may be updated at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from typing import Final

from nnc.runtime.finding import Finding, refuse

from .driver import LIBRARY, Driver, Gpu, ask_driver, is_module_loaded, pci_gpus, visible_devices

OLDEST_CAPABILITY: Final = (8, 0)  # Ampere: what the kernels are compiled for begins there
OLDEST_CUPY: Final = 14  # major version
_EXTRAS: Final = {12: "cuda12", 13: "cuda13"}  # CUDA's major version -> extra of nnc
_DRIVERS: Final = {12: 525, 13: 580}  # the first driver for Linux of that major version
_ON_CPU: Final = "or compute on the processor: `--device cpu`"
_UPDATE: Final = (
    "or update the driver: `sudo ubuntu-drivers install` (Ubuntu), `sudo apt install nvidia-driver` (Debian)"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found, in the order of looking. gpu: the one that would be used; None if the driver has none."""

    findings: tuple[Finding, ...]
    gpu: Gpu | None

    @property
    def is_ready(self) -> bool:
        """Whether a GPU can be used, as far as looking tells."""
        return all(finding.status == "ok" for finding in self.findings)

    @property
    def reason(self) -> str:
        """Why no GPU can be used, in one line."""
        return "; ".join(finding.problem for finding in self.findings if finding.problem)


def probe() -> Probe:
    """Look for all that a GPU needs. Takes half a second where all is there, some milliseconds where nothing is."""
    driver = ask_driver()
    gpu = driver.gpus[0] if driver is not None and driver.gpus else None
    found = [_driver(driver), _gpu(driver)]
    cupy = _cupy(driver)
    found.append(cupy)
    libraries: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("NVRTC", _nvrtc),
        ("cuBLASLt", lambda: _cublaslt(driver)),
    )
    for name, look in libraries:
        found.append(look() if cupy.status == "ok" else Finding(name, untried="it is found through CuPy"))
    return Probe(tuple(found), gpu)


def require_gpu() -> Gpu:
    """The GPU that is used. Raises: ToolchainError (E0940-E0945) with all that is missing, and what mends it."""
    found = probe()
    refuse(found.findings)
    assert found.gpu is not None, found
    return found.gpu


# --- the driver and its GPUs ------------------------------------------------------------------------------------------
def _driver(driver: Driver | None) -> Finding:
    if driver is not None:
        return Finding("driver", f"NVIDIA's, for CUDA up to {_version(driver.cuda)}")
    notes = [f"{LIBRARY} is not found"]
    remedies = [
        "install it: `sudo ubuntu-drivers install` (Ubuntu), `sudo apt install nvidia-driver` (Debian); then restart",
        "in a container: start that with `docker run --gpus all ...`",
    ]
    if is_module_loaded():
        notes.append("the kernel has NVIDIA's module, so only its library is missing here, as in a container")
        remedies.reverse()
    elif pci_gpus() == 0:
        notes.append("there is no NVIDIA GPU on the PCI bus of this machine")
        remedies = ["go to a machine with an NVIDIA GPU"]
    return Finding("driver", "", "there is no NVIDIA driver", notes=tuple(notes), remedies=(*remedies, _ON_CPU),
                   code="E0940")  # fmt: skip


def _gpu(driver: Driver | None) -> Finding:
    if driver is None:
        return Finding("GPU", untried="the driver is what finds it")
    if not driver.gpus:
        return _no_gpu(driver)
    gpu = driver.gpus[0]
    capability = ".".join(map(str, gpu.capability))
    text = f"{gpu.name}, {gpu.arch}, {gpu.memory_bytes / 2**30:.1f} GiB"
    if len(driver.gpus) > 1:
        text += f"; the first of {len(driver.gpus)}, CUDA_VISIBLE_DEVICES chooses another"
    if gpu.capability < OLDEST_CAPABILITY:
        least = ".".join(map(str, OLDEST_CAPABILITY))
        problem = f"the GPU {gpu.name} is too old: its compute capability is {capability}, and nnc needs {least}"
        return Finding("GPU", text, problem, remedies=("choose another GPU with CUDA_VISIBLE_DEVICES", _ON_CPU),
                       code="E0945")  # fmt: skip
    return Finding("GPU", text)


def _no_gpu(driver: Driver) -> Finding:
    notes = [f"it says: {driver.problem}"] if driver.problem else ["it counts 0"]
    remedies = ["`nvidia-smi` shows what the driver sees; after an update of the driver restart the machine"]
    if visible_devices() is not None:
        notes.append(f"CUDA_VISIBLE_DEVICES is `{visible_devices()}`, which hides all others")
        remedies = ["`unset CUDA_VISIBLE_DEVICES`, or name a GPU that there is"]
    return Finding("GPU", "", "the NVIDIA driver finds no GPU", notes=tuple(notes), remedies=(*remedies, _ON_CPU),
                   code="E0941")  # fmt: skip


# --- CuPy -------------------------------------------------------------------------------------------------------------
def _cupy(driver: Driver | None) -> Finding:
    """Whether exactly one CuPy is installed, loads, is new enough, and is for a CUDA that the driver runs."""
    packages = tuple(_cupy_packages())
    install = f"pip install 'nnc[{_extra(driver)}]'"
    if not packages and util.find_spec("cupy") is None:
        hint = () if driver is not None else (f"with a driver before {_DRIVERS[13]}: pip install 'nnc[cuda12]'",)
        return Finding("CuPy", "", "CuPy is not installed", remedies=(install, *hint), code="E0942")
    named = ", ".join(packages) or "cupy"
    if len(packages) > 1:
        names = " ".join(package.split()[0] for package in packages)
        return Finding("CuPy", named, f"{len(packages)} packages of CuPy are installed, which overwrite each other",
                       notes=(named,), remedies=(f"pip uninstall -y {names} && {install}",), code="E0943")  # fmt: skip
    try:
        import cupy
        from cupy_backends.cuda.api import runtime

        version, cuda = str(cupy.__version__), int(runtime.runtimeGetVersion())
    except Exception as error:  # whatever a broken installation raises
        reason = f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
        return Finding("CuPy", named, "CuPy is installed, but does not load", notes=(named, reason),
                       remedies=(f"{install} --force-reinstall",), code="E0942")  # fmt: skip
    return _fitting(named, version, (cuda // 1000, cuda % 1000 // 10), driver)


def _fitting(package: str, version: str, cuda: tuple[int, int], driver: Driver | None) -> Finding:
    """CuPy beside the driver: a driver runs all programs for its own major version of CUDA and for older ones."""
    text = f"{package}, built for CUDA {_version(cuda)}"
    name = package.split()[0]
    if int(version.partition(".")[0]) < OLDEST_CUPY:
        return Finding("CuPy", text, f"CuPy {version} is too old: nnc needs {OLDEST_CUPY} or newer",
                       remedies=(f"pip uninstall -y {name} && pip install 'nnc[{_extra(driver)}]'",),
                       code="E0943")  # fmt: skip
    if driver is not None and cuda[0] > driver.cuda[0]:
        problem = f"CuPy is built for CUDA {cuda[0]}, and the driver runs CUDA {_version(driver.cuda)} at most"
        needed = f"CUDA {cuda[0]} needs driver {_DRIVERS.get(cuda[0], 'of its time')} or newer"
        change = f"pip uninstall -y {name} && pip install 'nnc[{_extra(driver)}]'"
        return Finding("CuPy", text, problem, notes=(needed,), remedies=(change, _UPDATE), code="E0943")
    return Finding("CuPy", text)


def _cupy_packages() -> Iterator[str]:
    """`cupy-cuda13x 14.2.0` of each package that brings a module `cupy`."""
    found = {(str(each.metadata["Name"]).lower(), each.version) for each in metadata.distributions()
             if str(each.metadata["Name"]).lower().startswith("cupy")}  # fmt: skip
    yield from (f"{name} {version}" for name, version in sorted(found))


def _extra(driver: Driver | None) -> str:
    """The extra of nnc that suits the driver: the newest CUDA that it runs."""
    if driver is None:
        return _EXTRAS[max(_EXTRAS)]
    return next((extra for major, extra in sorted(_EXTRAS.items(), reverse=True) if driver.cuda[0] >= major), "cuda12")


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


# --- the libraries ----------------------------------------------------------------------------------------------------
def _nvrtc() -> Finding:
    """The compiler of kernels, loaded as CuPy does it."""
    from cupy_backends.cuda.libs import nvrtc

    try:
        return Finding("NVRTC", _version(nvrtc.getVersion()))
    except Exception as error:  # not found, or of another version than CuPy needs
        return _missing("NVRTC", "nvidia-cuda-nvrtc", error)


def _cublaslt(driver: Driver | None) -> Finding:
    """The library of matrix products, loaded as cuda-pathfinder finds it."""
    import ctypes

    try:
        from cuda import pathfinder

        library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path)
        library.cublasLtGetVersion.restype = ctypes.c_size_t
        number = int(library.cublasLtGetVersion())
    except Exception as error:  # not found, or does not load
        return _missing("cuBLASLt", "nvidia-cublas", error)
    version = (number // 10000, number % 10000 // 100)
    if util.find_spec("nvmath") is None:
        problem = "nvmath-python, through which cuBLASLt is called, is not installed"
        return Finding("cuBLASLt", _version(version), problem, remedies=("pip install nvmath-python",), code="E0944")
    if driver is not None and version[0] > driver.cuda[0]:
        problem = f"cuBLASLt is of CUDA {version[0]}, and the driver runs CUDA {_version(driver.cuda)} at most"
        remedies = (f"pip install 'nnc[{_extra(driver)}]'", _UPDATE)
        return Finding("cuBLASLt", _version(version), problem, remedies=remedies, code="E0943")
    return Finding("cuBLASLt", _version(version))


def _missing(name: str, package: str, error: Exception) -> Finding:
    from cupy_backends.cuda.api import runtime

    major = int(runtime.runtimeGetVersion()) // 1000
    suffix = "" if major >= 13 else f"-cu{major}"
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    return Finding(
        name, "", f"the library {name} of CUDA {major} is missing or does not load",
        notes=(f"{type(error).__name__}: {reason}",),
        remedies=(f"pip install {package}{suffix}", f"or, with all the others: pip install 'nnc[cuda{major}]'"),
        code="E0944",
    )  # fmt: skip
