"""`cublaslt.Library` before a stand-in that reads cuBLASLt's manual, and the real library's calls that need no GPU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import emulated
import numpy as np
import pytest
from host_cublaslt import BFLOAT16, FLOAT32, INVALID_VALUE, STREAM, HostCublasLt, HostKernels
from hypothesis import HealthCheck, given, settings
from library_ways import bfloat16, check_plan
from native_networks import NetworkFeeds, spec_feeds, spec_plan
from random_networks import RandomNetwork, random_networks
from test_library import GELU, hidden_plan, with_plain_sums

from nnc.compiler.codegen.cuda.library import library_products
from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import ToolchainError
from nnc.grammar.source import SourceFile
from nnc.runtime.cuda.cublaslt import (
    EPILOGUES,
    MOST_CANDIDATES,
    WORKSPACE_BYTES,
    Library,
    PreparedProduct,
    ProductUnsupportedError,
    library_memory,
    rounding_text,
)
from nnc.runtime.protocol import Array
from nnc.runtime.reference.arena import Arena, aligned_bytes

DENSE = "relu, use_bias = false"


class Prepared:
    """Products of an arena in the host's memory, run by `cublaslt.Library` through the stand-in."""

    def __init__(self, arena: Arena, ways: tuple[LibraryProduct, ...], api: HostCublasLt | None = None) -> None:
        self.arena, self.api, self.kernels = arena, api or HostCublasLt(), HostKernels()
        # NaN wherever nothing was written, so that reading it would show; the stand-in needs no workspace
        self.memory = aligned_bytes(library_memory(arena.plan, ways).size_bytes - WORKSPACE_BYTES + 1)
        self.memory[...] = 0xFF
        self.library = Library(arena.plan, ways, self.memory.ctypes.data, lambda: STREAM, self.kernels, self.api)

    def prepare(self, way: LibraryProduct, rows: int, piece: int = 0) -> PreparedProduct:
        return self.library.prepare(way, rows, self.address, piece)

    def address(self, id: int) -> int:
        return self.arena.address + self.arena.plan.buffers[id].offset

    def run(self, way: LibraryProduct, rows: int) -> Array:
        piece = np.full((rows if way.m == "rows" else int(way.m), int(way.n)), np.nan, np.float32)
        self.prepare(way, rows, piece.ctypes.data).run()
        return piece


def prepared_for(plan: Plan, api: HostCublasLt | None = None) -> tuple[Prepared, dict[str, LibraryProduct]]:
    """A library for all ways of a plan; one way of each epilogue."""
    ways = tuple([way for each in library_products(plan).values() for way in each])
    return Prepared(Arena(plan), ways, api), {way.epilogue: way for way in ways}


# --- what is computed -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["california", "digits", "logic_xor", "residual", "siamese", "wide_deep_aux"])
def test_products_of_bundled_specs_are_those_of_their_steps(name: str) -> None:
    check_plan(spec_plan(name), spec_feeds(spec_plan(name)), Prepared)


@given(random_networks(dtype="float32"))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_products_of_random_networks_are_those_of_their_steps(network: RandomNetwork) -> None:
    plan = compile_source(SourceFile("random.nn", network.text)).plan
    check_plan(plan, NetworkFeeds(plan, network.domains).feeds, Prepared)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("first", ["relu", GELU, DENSE, f"{GELU}, use_bias = false"])
def test_every_epilogue_computes_what_its_step_does(first: str, precision: str) -> None:
    entry = f", clip_norm = 1, precision = {precision}"
    plan = with_plain_sums(hidden_plan(first, first, entry))
    seen = check_plan(plan, spec_feeds(plan), Prepared)
    name, bias = ("gelu", "relu")["relu" in first], "" if "use_bias" in first else "_bias"
    sums = {f"d{name}_bgrad"} if bias else set()
    assert set(seen) == {"none", "bias", f"{name}{bias}", f"{name}_aux{bias}", f"d{name}"} | sums


# --- order and arguments ----------------------------------------------------------------------------------------------
def test_all_is_asked_while_preparing_and_nothing_while_running() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"))
    product = prepared.prepare(ways["relu_aux_bias"], 8)
    asked = prepared.api.names()
    assert asked[0] == "create"
    assert asked[1:5] == [*["matrix_layout_create"] * 3, "matmul_desc_create"]
    assert asked[-2:] == ["matmul_algo_get_heuristic", "matmul_preference_destroy"]
    assert "matmul" not in asked
    product.run()
    product.run()
    place = prepared.memory.ctypes.data + prepared.library.places.workspace
    assert prepared.api.calls[len(asked) :] == [("matmul", 100, place, WORKSPACE_BYTES, STREAM)] * 2
    assert prepared.kernels.launches == []


def test_matrices_are_described_turned_and_swapped() -> None:
    """hidden[8, 24] = relu(h[8, 16] k[16, 24]): the kernel is cuBLASLt's A, and columns are its rows."""
    prepared, _ = prepared_for(hidden_plan("relu", "relu"))
    way = library_products(prepared.arena.plan)["predict", 1][0]
    prepared.prepare(way, 5)
    layouts = [call[1:] for call in prepared.api.calls if call[0] == "matrix_layout_create"]
    assert layouts == [(FLOAT32, 24, 16, 24), (FLOAT32, 16, 5, 16), (FLOAT32, 24, 5, 24)]
    _, compute, asked = next(call for call in prepared.api.calls if call[0] == "matmul_algo_get_heuristic")
    assert (compute, asked[3], asked[4], asked[7]) == (69, 0, 0, EPILOGUES["relu_bias"])
    assert asked[8] == prepared.address(way.bias)


def test_operands_in_bfloat16_are_rounded_in_front_of_the_product() -> None:
    prepared, _ = prepared_for(hidden_plan("relu", "relu", ", precision = bfloat16"))
    way = library_products(prepared.arena.plan)["predict", 0][0]
    product = prepared.prepare(way, 8)
    layouts = [call[1:] for call in prepared.api.calls if call[0] == "matrix_layout_create"]
    # 12 columns of the input are padded to 16, so that each row starts at a multiple of 16 bytes
    assert layouts == [(BFLOAT16, 16, 12, 16), (BFLOAT16, 12, 8, 16), (FLOAT32, 16, 8, 16)]
    product.run()
    assert [launch[0] for launch in prepared.kernels.launches] == ["round_to_bfloat16"] * 2
    assert prepared.api.calls[-1][0] == "matmul"


@pytest.mark.parametrize(("precision", "compute"), [("float32", 69), ("bfloat16", 68), ("tf32", 77)])
def test_the_compute_type_is_the_plans(precision: str, compute: int) -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu", f", precision = {precision}"))
    prepared.prepare(ways["none"], 8)
    assert ("matmul_desc_create", compute) in prepared.api.calls


def test_alignments_are_those_of_the_addresses() -> None:
    plan = hidden_plan("relu", "relu")
    prepared, ways = prepared_for(plan)
    way = ways["relu_bias"]
    places = {way.b: 4096, way.a: 4096 + 64, way.result: 4096 + 32, way.bias: 4096 + 4}
    prepared.library.prepare(way, 8, lambda id: places[id])
    wanted = {1: WORKSPACE_BYTES, 5: 256, 6: 64, 7: 32, 8: 4}
    calls = [call for call in prepared.api.calls if call[0] == "matmul_preference_set_attribute"]
    assert {attribute: value for _, attribute, value in calls} == wanted


def test_what_is_created_is_freed() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"))
    first = prepared.prepare(ways["bias"], 8)
    prepared.prepare(ways["none"], 8)
    first.close()
    prepared.library.close()
    prepared.library.close()
    assert prepared.api.alive == {}


# --- candidates -------------------------------------------------------------------------------------------------------
def test_the_quickest_candidate_runs_once_it_is_measured() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"))
    result = np.zeros((16, 24), np.float32)
    product = prepared.prepare(ways["none"], 8, result.ctypes.data)
    times = iter([3.0, 1.0, 2.0])

    def seconds(work: object) -> float:
        assert work == product.run
        product.run()
        return next(times)

    assert product.measure(seconds) == 1.0
    assert product.chosen == 1
    product.run()
    assert [call[1] for call in prepared.api.calls if call[0] == "matmul"] == [100, 101, 102, 101]


def test_no_more_candidates_are_asked_for_than_there_is_room() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"), HostCublasLt(offered=100))
    assert len(prepared.prepare(ways["none"], 8).candidates) == MOST_CANDIDATES


def test_float32_is_computed_plainly_where_there_is_no_pedantic_way() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"), HostCublasLt(unsupported=frozenset({69})))
    prepared.prepare(ways["relu_bias"], 8)
    assert [call[1] for call in prepared.api.calls if call[0] == "matmul_desc_create"] == [69, 68]


@pytest.mark.parametrize(("offered", "unsupported"), [(3, frozenset({EPILOGUES["relu_bias"]})), (0, frozenset())])
def test_a_product_without_an_algorithm_leaves_nothing(offered: int, unsupported: frozenset[int]) -> None:
    api = HostCublasLt(offered, unsupported)
    prepared, ways = prepared_for(hidden_plan("relu", "relu"), api)
    with pytest.raises(ProductUnsupportedError, match="rows x 24 x 16 in float32 with epilogue relu_bias"):
        prepared.prepare(ways["relu_bias"], 8)
    assert list(api.alive.values()) == ["handle"]


def test_another_failure_of_the_library_is_no_refusal() -> None:
    prepared, ways = prepared_for(hidden_plan("relu", "relu"), HostCublasLt(fails=INVALID_VALUE))
    with pytest.raises(ToolchainError, match=r"E0947.*cuBLASLt fails while preparing a product with epilogue none"):
        prepared.prepare(ways["none"], 8)
    assert list(prepared.api.alive.values()) == ["handle"]


# --- memory -----------------------------------------------------------------------------------------------------------
def test_memory_holds_each_mask_and_the_largest_rounded_operands() -> None:
    plan = hidden_plan("relu", "relu", ", precision = bfloat16")
    ways = [way for each in library_products(plan).values() for way in each]
    memory = library_memory(plan, ways)
    # masks of 8 rows of 16 and of 24 bits, each row padded to 128 bits and each mask to 256 bytes
    assert sorted(memory.masks.values()) == [0, 256]
    assert memory.rounded == 512
    # a gradient[8, 24] and the kernel[16, 24] it goes back through, of two bytes, each padded to 256 bytes
    assert memory.workspace == 512 + 512 + 768
    assert memory.size_bytes == memory.workspace + WORKSPACE_BYTES
    assert library_memory(plan, []).size_bytes == 0


# --- the kernel that rounds -------------------------------------------------------------------------------------------
@emulated.needs_compiler
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 300)])
def test_the_kernel_rounds_as_the_plan_says(shape: tuple[int, int]) -> None:
    rows, columns = shape
    generator = np.random.default_rng(5)
    source = generator.integers(0, 2**32, (rows, columns + 3), np.uint32, False).view(np.float32)
    special = np.array([0x7F800000, 0x7F7FFFFF, 0x3F808000, 0x3F818000, 1, 0x80000000], np.uint32).view(np.float32)
    source.flat[: min(special.size, source.size)] = special[: source.size]
    target = np.zeros((rows, columns + 8), np.uint16)
    arguments = (source.ctypes.data, columns + 3, target.ctypes.data, columns + 8, rows, columns)
    emulated.Kernels(rounding_text()).launch("round_to_bfloat16", 2, 64, 0, arguments)
    given = source[:, :columns]
    wanted = np.where(np.isnan(given), 0x7FC0, bfloat16(given).view(np.uint32) >> np.uint32(16))
    np.testing.assert_array_equal(target[:, :columns], wanted)
    assert not target[:, columns:].any()


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_nvrtc_compiles_the_kernel(arch: str) -> None:
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
    program = nvrtc.createProgram(rounding_text(), "convert.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"-arch={arch}", "-std=c++17"))
        assert nvrtc.getCUBIN(program)[1:4] == b"ELF"
    finally:
        nvrtc.destroyProgram(program)


# --- the real library -------------------------------------------------------------------------------------------------
def test_the_real_library_takes_every_descriptor(tmp_path: Path) -> None:
    """With cuBLASLt's wheel and its binding, and a driver's library that only tells a version if there is no driver."""
    pytest.importorskip("nvmath.bindings.cublasLt")
    script = Path(__file__).parent / "real_cublaslt.py"
    command = [sys.executable, str(script)]
    if compiler := shutil.which("gcc"):
        source = tmp_path / "driver.c"
        source.write_text("int cuDriverGetVersion(int *version) { *version = 13000; return 0; }\n")
        stub = tmp_path / "libcuda.so.1"
        subprocess.run([compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", str(source), "-o", stub], check=True)
        command.append(str(stub))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every epilogue" in done.stdout
