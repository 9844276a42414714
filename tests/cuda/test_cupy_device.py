"""`CupyDevice` before a stand-in for CuPy; its calls, as the real CuPy has them; a machine without a driver."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cuda_sessions import NOISY, NOISY_DOMAINS, plan_of, prepared
from cupy_stand_in import CUDADriverError, CUDARuntimeError, StandIn
from emulated import needs_compiler
from host_cublaslt import HostCublasLt

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from native_networks import NetworkFeeds, check_session, outcome, spec_feeds, spec_plan  # noqa: E402

from nnc.compiler.codegen.cuda.library import chosen_products, library_products  # noqa: E402
from nnc.compiler.codegen.cuda.module import print_cuda_module  # noqa: E402
from nnc.grammar.diagnostics import ToolchainError  # noqa: E402
from nnc.runtime import store  # noqa: E402
from nnc.runtime.cuda import choice, cublaslt, cupy_device  # noqa: E402
from nnc.runtime.cuda.choice import by_rule  # noqa: E402
from nnc.runtime.cuda.cubins import compile_cubin, kept_cubin  # noqa: E402
from nnc.runtime.cuda.cupy_device import CupyDevice  # noqa: E402
from nnc.runtime.cuda.driver import Gpu, ask_driver  # noqa: E402
from nnc.runtime.cuda.graphs import TEAMS, Code  # noqa: E402
from nnc.runtime.cuda.session import CudaRuntime  # noqa: E402

KERNEL = '#include "warp.cuh"\nextern "C" __global__ void f(float *x) { x[0] = N; }\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    stand_in.install(monkeypatch)
    monkeypatch.setattr(cupy_device, "require_gpu", lambda: Gpu("a GPU", (9, 0), stand_in.total, 2))
    return stand_in


@needs_compiler
def test_a_session_on_it_computes_what_the_reference_does(stand_in: StandIn, folder: Path) -> None:
    plan = spec_plan("logic_xor")
    session = CudaRuntime(CupyDevice()).prepare(plan)
    check_session(session, plan, spec_feeds(plan), steps=3)
    code = Code(CupyDevice(), plan, print_cuda_module(plan))
    tried = {kind for program in plan.programs for kind in choice._kinds_to_try(code, program.name)}
    assert {"graph"} < tried < set(TEAMS)
    assert set(session.choice.kinds.values()) <= tried
    names = [entry.path.name.rpartition("-")[0] for entry in store.entries(folder)]
    assert names == ["logic_xor"] * (len(tried) + 1)  # a cubin for each kind of launch, and the choice
    assert "begin_capture" in stand_in.calls
    del session
    gc.collect()
    assert not stand_in.memory


@needs_compiler
def test_graphs_on_it_are_the_same_as_what_stays(stand_in: StandIn) -> None:
    plan = spec_plan("digits")
    device = CupyDevice()
    by_work = CudaRuntime(device, lambda plan, device: by_rule(plan, device, print_cuda_module(plan))).prepare(plan)
    assert "graph" in by_work.choice.kinds.values()
    found = outcome(by_work, spec_feeds(plan), steps=2)
    assert outcome(CudaRuntime(device).prepare(plan), spec_feeds(plan), steps=2) == found


class StreamedCublasLt(HostCublasLt):
    """Does products in the order of the stream, captured ones when their graph is launched."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__()
        self._stand_in = stand_in

    def matmul(self, *arguments: int) -> None:
        self._stand_in.ask(lambda: HostCublasLt.matmul(self, *arguments))


@needs_compiler
def test_products_by_the_library_on_it(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16, whose operands are rounded by a kernel of their own before each product."""
    library = StreamedCublasLt(stand_in)
    monkeypatch.setattr(cublaslt, "load_cublaslt", lambda: library)
    plan, domains = plan_of(NOISY.replace("train { ", "train { precision = bfloat16, ")), NOISY_DOMAINS
    products = chosen_products(library_products(plan), lambda product: True)
    session = prepared(plan, device=CupyDevice(), products=products)
    check_session(session, plan, NetworkFeeds(plan, domains).feeds, steps=3)
    assert library.names().count("matmul") >= len(products)
    del session
    gc.collect()
    assert not library.alive
    assert not stand_in.memory


# --- what goes wrong --------------------------------------------------------------------------------------------------
def test_too_little_memory_says_how_much_there_is(stand_in: StandIn) -> None:
    device = CupyDevice()
    with pytest.raises(ToolchainError, match=r"E0946.*2\.00 GiB on a GPU, where 1\.00 GiB are free"):
        device.allocate(1 << 31)
    assert device.allocate(1000) % 256 == 0


@pytest.mark.parametrize("kind", [CUDARuntimeError, CUDADriverError])
def test_what_the_driver_refuses_is_told_in_its_words(stand_in: StandIn, kind: type[Exception]) -> None:
    device = CupyDevice()
    address = device.allocate(64)
    stand_in.fails["memcpyAsync"] = kind("cudaErrorIllegalAddress: an illegal memory access was encountered")
    with pytest.raises(ToolchainError, match=r"E0947.*a GPU fails while running a program(.|\n)*IllegalAddress"):
        device.download(np.zeros(4, np.float32), address)


def test_a_failure_while_capturing_ends_the_capture(stand_in: StandIn) -> None:
    device = CupyDevice()

    def fail() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        device.capture(fail)
    assert stand_in.capturing is None


def test_dynamic_shared_memory_beyond_48_kib_is_asked_for(stand_in: StandIn, folder: Path) -> None:
    kernels = CupyDevice().load(KERNEL, "f", {"N": 2})
    assert kernels.blocks_at_once("f", 256, 48 << 10) == 4
    assert not [call for call in stand_in.calls if call.startswith("funcSetAttribute")]
    kernels = CupyDevice().load(KERNEL, "f", {"N": 2})
    kernels.blocks_at_once("f", 256, 50000)
    assert "funcSetAttribute 8 50000" in stand_in.calls


def test_a_text_is_compiled_once_with_its_headers(stand_in: StandIn, folder: Path) -> None:
    first = kept_cubin(KERNEL, "my net", "sm_90", {"N": 3, "A": 1})
    program = stand_in.programs[1]
    assert program["options"][0] == "-arch=sm_90"
    assert program["options"][-2:] == ["-DA=1", "-DN=3"]
    assert "warp.cuh" in program["headers"]
    assert kept_cubin(KERNEL, "my net", "sm_90", {"N": 3, "A": 1}) == first
    assert stand_in.calls.count("compileProgram") == stand_in.calls.count("destroyProgram") == 1
    for arch, macros in (("sm_80", {"N": 3, "A": 1}), ("sm_90", {"N": 4})):
        assert kept_cubin(KERNEL, "my net", arch, macros) != first
    assert len(store.entries(folder)) == 3
    for cubin in folder.glob("my_net-*/my_net.cubin"):
        assert (cubin.parent / "my_net.cu").read_text() == KERNEL
        assert (cubin.parent / "warp.cuh").is_file()


def test_a_refused_text_is_kept_with_what_nvrtc_says(stand_in: StandIn, folder: Path) -> None:
    stand_in.refuses = "x[0]"
    with pytest.raises(ToolchainError, match=r"E0948(.|\n)*no such thing"):
        compile_cubin(KERNEL, "sm_90")
    with pytest.raises(ToolchainError, match=r"E0948(.|\n)*no such thing") as raised:
        kept_cubin(KERNEL, "net", "sm_90", {})
    place = Path(str(raised.value.diagnostics[0].place))
    assert place.read_text() == KERNEL
    assert "no such thing" in (place.parent / "messages.txt").read_text()
    assert stand_in.calls.count("destroyProgram") == 2
    with pytest.raises(ToolchainError, match=r"E0948.*`sm_70`"):
        compile_cubin(KERNEL, "sm_70")


# --- the real CuPy ----------------------------------------------------------------------------------------------------
def test_nothing_imports_cupy_before_somebody_asks_for_a_gpu() -> None:
    code = "import sys, nnc.runtime.cuda.session, nnc.runtime.cuda.cupy_device, nnc.runtime.cuda.cubins\n"
    code += "print([name for name in ('cupy', 'cupy_backends', 'nvmath') if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(bool((driver := ask_driver()) and driver.gpus), reason="there is a GPU")
def test_without_a_gpu_there_is_a_reason() -> None:
    with pytest.raises(ToolchainError, match=r"E094[01]") as raised:
        CudaRuntime().prepare(spec_plan("logic_xor"))
    assert raised.value.exit_code == 4
    assert all(diagnostic.helps for diagnostic in raised.value.diagnostics)


# as cupy_device.py and cubins.py call them: module, name, how many arguments
CALLS = (
    ("cupy_backends.cuda.api.runtime", "setDevice", 1), ("cupy_backends.cuda.api.runtime", "driverGetVersion", 0),
    ("cupy_backends.cuda.api.runtime", "runtimeGetVersion", 0), ("cupy_backends.cuda.api.runtime", "memGetInfo", 0),
    ("cupy_backends.cuda.api.runtime", "deviceGetAttribute", 2), ("cupy_backends.cuda.api.runtime", "malloc", 1),
    ("cupy_backends.cuda.api.runtime", "free", 1), ("cupy_backends.cuda.api.runtime", "memsetAsync", 4),
    ("cupy_backends.cuda.api.runtime", "memcpyAsync", 5),
    ("cupy_backends.cuda.api.driver", "occupancyMaxActiveBlocksPerMultiprocessor", 3),
    ("cupy_backends.cuda.api.driver", "funcSetAttribute", 3),
    ("cupy_backends.cuda.libs.nvrtc", "createProgram", 4), ("cupy_backends.cuda.libs.nvrtc", "compileProgram", 2),
    ("cupy_backends.cuda.libs.nvrtc", "destroyProgram", 1), ("cupy_backends.cuda.libs.nvrtc", "getCUBIN", 1),
    ("cupy_backends.cuda.libs.nvrtc", "getProgramLog", 1), ("cupy_backends.cuda.libs.nvrtc", "getSupportedArchs", 0),
    ("cupy_backends.cuda.libs.nvrtc", "getVersion", 0),
    ("cupy.cuda", "alloc_pinned_memory", 1), ("cupy.cuda", "get_elapsed_time", 2),
)  # fmt: skip


@pytest.mark.parametrize(("module", "name", "count"), CALLS)
def test_cupy_has_every_function_with_these_arguments(module: str, name: str, count: int) -> None:
    pytest.importorskip("cupy")
    function = getattr(pytest.importorskip(module), name)
    signature = (function.__doc__ or "").splitlines()
    found = re.match(rf"{name}\((.*?)\)", signature[0] if signature else "")
    if found is not None:  # Cython writes the signature of compiled functions there
        assert len([part for part in found[1].split(",") if part.strip()]) == count
    assert callable(function)


def test_cupy_has_every_class_with_these_methods() -> None:
    cupy = pytest.importorskip("cupy")
    cuda = cupy.cuda
    assert cuda.runtime is sys.modules["cupy_backends.cuda.api.runtime"]
    wanted = {
        cuda.Stream: ("synchronize", "record", "wait_event", "begin_capture", "end_capture"),
        cuda.Event: ("synchronize",), cuda.Graph: ("launch",), cuda.function.Module: ("load", "get_function"),
    }  # fmt: skip
    for kind, methods in wanted.items():
        assert all(callable(getattr(kind, method)) for method in methods), kind
    assert (cuda.runtime.memcpyHostToDevice, cuda.runtime.memcpyDeviceToHost) == (1, 2)
    from cupy_backends.cuda.api import driver

    assert driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES == 8
    assert issubclass(cuda.runtime.CUDARuntimeError, RuntimeError)
    assert issubclass(driver.CUDADriverError, RuntimeError)
