"""How far the elementary functions of runtime/native are from the truth, in units in the last place (ulp).

    python benchmarks/native/accuracy.py [--cc gcc] [--flags=-march=native] [--only exp,log] [--step 1]

float32: every one of the 2^32 bit patterns (each `--step`-th), against float64. float64: random arguments, against the
C library's long double. Results below the least normal number count their error in units of that number's last
place, and 0 is accepted for them.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "runtime" / "native"
HARNESS = ROOT / "tests" / "native"
FLAGS = ("-std=gnu11", "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi", "-shared",
         "-fPIC")  # fmt: skip
NAMES = ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "softplus", "erf")
CHUNK = 1 << 18

Array = npt.NDArray[Any]


def build(cc: str, flags: list[str], folder: Path) -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """The functions under test, and the C library's."""
    tested, reference = folder / "elementary.so", folder / "reference.so"
    subprocess.run([cc, *FLAGS, *flags, f"-I{HEADERS}", HARNESS / "elementary.c", "-o", tested], check=True)
    subprocess.run(
        [
            "gcc",
            "-O2",
            "-fno-trapping-math",
            "-fno-math-errno",
            "-shared",
            "-fPIC",
            HARNESS / "reference.c",
            "-o",
            reference,
            "-lm",
        ],
        check=True,
    )
    library = ctypes.CDLL(str(reference))
    library.worst_f32.restype = ctypes.c_double
    return ctypes.CDLL(str(tested)), library


def call(function: Any, *arrays: Array) -> Array:
    """The function of the arrays, called as f(x, ..., out, n)."""
    out = np.empty_like(arrays[0])
    function(*(a.ctypes.data_as(ctypes.c_void_p) for a in (*arrays, out)), ctypes.c_long(out.size))
    return out


def ulps(got: Array, expected: Array) -> Array:
    """|got - expected| in units in the last place of the dtype of `got`; infinite where a special value is wrong."""
    kind = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = expected.astype(got.dtype)
        unit = np.spacing(np.maximum(np.abs(rounded), kind.smallest_normal)).astype(expected.dtype)
        unit = np.where(np.isfinite(unit), unit, kind.max * kind.eps / 2)
        error = np.abs(got.astype(expected.dtype) - expected) / unit
    same = (got == rounded) & ~np.isfinite(rounded) | np.isnan(got) & np.isnan(expected)
    flushed = (got == 0) & (np.abs(expected) < kind.smallest_normal)
    error = np.where(same | flushed, 0, error)
    return np.where(np.isnan(error), np.inf, error)


def expected_f32(name: str, x: Array, reference: ctypes.CDLL) -> Array:
    """The function of float32 x, in float64."""
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        match name:
            case "sigmoid":
                return np.asarray(1 / (1 + np.exp(-wide)))
            case "softplus":
                return np.asarray(np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))))
            case "erf":
                return call(reference.erf_of_f64, wide)
            case _:
                return np.asarray(getattr(np, name)(wide))


def measure_f32(name: str, tested: ctypes.CDLL, reference: ctypes.CDLL, step: int) -> tuple[float, float]:
    """The largest error over all float32 values, and where."""

    def chunk(start: int) -> tuple[float, float]:
        bits = np.arange(start, min(start + CHUNK * step, 1 << 32), step, dtype=np.uint64).astype(np.uint32)
        x = bits.view(np.float32)
        got, expected = call(getattr(tested, f"apply_{name}_f32"), x), expected_f32(name, x, reference)
        index = ctypes.c_long()
        addresses = (a.ctypes.data_as(ctypes.c_void_p) for a in (got, expected))
        error = reference.worst_f32(*addresses, ctypes.c_long(x.size), ctypes.byref(index))
        return float(error), float(x[index.value])

    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(chunk, range(0, 1 << 32, CHUNK * step)))


def arguments_f64(name: str, size: int, seed: int) -> Array:
    """float64[size]: uniform where the function is not trivial, over all exponents, and near 0 and 1."""
    random = np.random.default_rng(seed)
    span = {"exp": 750, "expm1": 720, "sin": 1e6, "cos": 1e6, "erf": 6.5, "tanh": 22}.get(name, 800)
    parts = [
        random.uniform(-span, span, size // 4),
        random.uniform(-3, 3, size // 4),
        np.frombuffer(random.bytes(8 * (size // 4)), np.float64),
        1 + random.uniform(-0.5, 0.5, size // 4) ** 5,
    ]
    return np.concatenate([np.abs(p) if name == "log" else p for p in parts])


def measure_f64(name: str, tested: ctypes.CDLL, reference: ctypes.CDLL, size: int) -> tuple[float, float]:
    """The largest error over `size` arguments, and where."""
    x = arguments_f64(name, size, 1)
    out = np.empty(x.size, np.longdouble)
    getattr(reference, f"{name}_of_f64l")(*(a.ctypes.data_as(ctypes.c_void_p) for a in (x, out)), ctypes.c_long(x.size))
    error = ulps(call(getattr(tested, f"apply_{name}_f64"), x), out)
    worst = int(np.argmax(error))
    return float(error[worst]), float(x[worst])


def measure_pow(dtype: type, tested: ctypes.CDLL, reference: ctypes.CDLL, size: int) -> tuple[float, float, float]:
    """The largest error of pow over `size` pairs, and where."""
    random = np.random.default_rng(2)
    x = np.concatenate([np.exp(random.uniform(-80, 80, size // 2)), random.uniform(0.5, 2, size - size // 2)])
    y = random.uniform(-700, 700, size) / np.abs(np.log(x)) * random.uniform(0, 1, size)
    x, y = x.astype(dtype), y.astype(dtype)
    out = np.empty(size, np.longdouble)
    wide = (x.astype(np.float64), y.astype(np.float64), out)
    reference.pow_of_f64l(*(a.ctypes.data_as(ctypes.c_void_p) for a in wide), ctypes.c_long(size))
    name = "f32" if dtype is np.float32 else "f64"
    expected = out.astype(np.float64) if dtype is np.float32 else out
    error = ulps(call(getattr(tested, f"apply_pow_{name}"), x, y), expected)
    worst = int(np.argmax(error))
    return float(error[worst]), float(x[worst]), float(y[worst])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--flags", default="-march=native")
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--f64-points", type=int, default=4_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tested, reference = build(options.cc, options.flags.split(), Path(folder))
        for name in options.only.split(","):
            wrong, at = measure_f64(name, tested, reference, options.f64_points)
            print(f"{name}_f64  {wrong:.3f} ulp at {at!r}", flush=True)
        for dtype in (np.float32, np.float64):
            wrong, base, exponent = measure_pow(dtype, tested, reference, options.f64_points)
            print(
                f"pow_{'f32' if dtype is np.float32 else 'f64'}  {wrong:.3f} ulp at {base!r}, {exponent!r}", flush=True
            )
        for name in options.only.split(","):
            wrong, at = measure_f32(name, tested, reference, options.step)
            print(f"{name}_f32  {wrong:.3f} ulp at {at!r}", flush=True)


if __name__ == "__main__":
    main()
