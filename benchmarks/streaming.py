"""Trains one epoch on files larger than the memory it may use: `python benchmarks/streaming.py [KIND...] [--out F]`.

The samples are float32 from a normal distribution, which hardly compress. For each kind of file a child process imports
nnc and what reads the file, and compiles the spec; its address space is then limited to what it has, plus the plan's
training peak, plus 512 MiB. That the samples do not fit is shown by asking for memory for them, which must fail.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import os
import platform
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BLOCK_ROWS = 4096
SPEC = """
model streaming
input x: float32[{width}]
output y = x -> Dense(16, relu) -> Dense(1, sigmoid) {{ loss = binary_crossentropy, metrics = [accuracy] }}
train {{ optimizer = sgd(learning_rate = 0.01), batch_size = 512, epochs = 1, seed = 1 }}
data {{ x = {source}, y = npy("y.npy") }}
"""


# --- the files --------------------------------------------------------------------------------------------------------
def samples(rows: int, width: int) -> Iterator[Any]:
    """Blocks of float32[n, width]."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, BLOCK_ROWS):
        yield rng.standard_normal((min(BLOCK_ROWS, rows - start), width), np.float32)


def write_npy(file: Any, rows: int, width: int) -> None:
    """The same as `np.save`, block by block."""
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})
    for block in samples(rows, width):
        file.write(block.data)


def make_npy(path: Path, rows: int, width: int) -> None:
    with path.open("wb") as file:
        write_npy(file, rows, width)


def make_npz(path: Path, rows: int, width: int) -> None:
    """Compressed."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        write_npy(member, rows, width)


def make_idx(path: Path, rows: int, width: int) -> None:
    """Gzipped; big-endian, as the format has it."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(struct.pack(">HBB2I", 0, 13, 2, rows, width))
        for block in samples(rows, width):
            file.write(block.astype(">f4").tobytes())


def make_parquet(path: Path, rows: int, width: int) -> None:
    """In one row group, which is the worst case for whoever reads such groups whole."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    names = [f"c{k}" for k in range(width)]
    whole = np.concatenate(list(samples(rows, width))).T
    table = arrow.table(dict(zip(names, whole, strict=True)))
    parquet.write_table(table, path, row_group_size=rows, use_dictionary=False, compression="snappy")


def make_csv(path: Path, rows: int, width: int) -> None:
    with path.open("w") as file:
        file.write(",".join(f"c{k}" for k in range(width)) + "\n")
        for block in samples(rows, width):
            file.writelines(",".join([f"{value:.6g}" for value in row]) + "\n" for row in block.tolist())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: how it is made and named in the data section; `mebibytes` of samples by default, as float32."""

    make: Callable[[Path, int, int], None]
    source: str
    width: int
    mebibytes: int
    imports: str = "numpy"

    @property
    def file(self) -> str:
        return self.source.split('"')[1]


KINDS = {
    "npy": Kind(make_npy, 'npy("x.npy")', 1024, 4096),
    "npz": Kind(make_npz, 'npz("x.npz")', 1024, 1024),
    "idx": Kind(make_idx, 'idx("x-ubyte.gz")', 1024, 1024),
    "parquet": Kind(make_parquet, 'parquet("x.parquet")[c0..c63]', 64, 1024, "pyarrow.parquet"),
    "parquet_wide": Kind(make_parquet, 'parquet("x.parquet")[c0..c1023]', 1024, 1024, "pyarrow.parquet"),
    "csv": Kind(make_csv, 'csv("x.csv")[c0..c63]', 64, 512),
}


# --- the child --------------------------------------------------------------------------------------------------------
def memory(field: str) -> int:
    """A figure of /proc/self/status in bytes: VmSize, VmPeak, VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def train(folder: Path, kind: Kind, allowed: int, ahead: int) -> dict[str, Any]:
    """Limit the address space, then train for an epoch.

    allowed: bytes beyond the plan's peak; ahead: bytes of samples that may be read at once.
    """
    sys.path.insert(0, str(ROOT))
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.pipeline import compile_source
    from nnc.grammar.source import SourceFile
    from nnc.runtime import data
    from nnc.runtime import train as training
    from nnc.runtime.data import stream
    from nnc.runtime.reference import ReferenceRuntime

    importlib.import_module(kind.imports)
    stream.STREAMED_FROM = ahead  # type: ignore[misc]
    text = SPEC.format(width=kind.width, source=kind.source)
    compiled = compile_source(SourceFile("streaming.nn", text), CompileOptions())
    baseline, peak = memory("VmSize"), compiled.plan.program("train_step").peak_bytes
    resident = memory("VmHWM")
    limit = baseline + peak + allowed
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    rows = len(np.load(folder / "y.npy"))
    sample_bytes = rows * kind.width * 4
    began = time.perf_counter()
    network = compiled.network
    dataset = data.load(network.data, compiled.plan, folder, network.outputs)
    loaded = time.perf_counter()
    session = ReferenceRuntime().prepare(compiled.plan)
    history = training.fit(session, dataset.train, None, network.train)
    trained = time.perf_counter()
    assert len(dataset.train) == rows
    return {
        "file_bytes": (folder / kind.file).stat().st_size,
        "sample_bytes": sample_bytes,
        "rows": rows,
        "samples_fit_into_memory": fits(sample_bytes),
        "baseline_bytes": baseline,
        "plan_peak_bytes": peak,
        "allowed_beyond_bytes": allowed,
        "limit_bytes": limit,
        "address_space_peak_beyond_baseline_bytes": memory("VmPeak") - baseline,
        "resident_before_bytes": resident,
        "resident_peak_bytes": memory("VmHWM"),
        "seconds_to_read": round(loaded - began, 2),
        "seconds_to_train": round(trained - loaded, 2),
        "loss": history.epochs[-1].figures["loss"],
    }


def fits(size_bytes: int) -> bool:
    """Whether the process may have as much memory as that."""
    try:
        np.empty(size_bytes, np.uint8)
    except MemoryError:
        return False
    return True


# --- the parent -------------------------------------------------------------------------------------------------------
def measure(
    name: str, mebibytes: int | None = None, allowed: int = 512 << 20, ahead: int = 256 << 20
) -> dict[str, Any]:
    """Make a file, train in a child process, give its figures. Raises: CalledProcessError if the child fails.

    mebibytes: of samples; allowed, ahead: as of `train`, bytes.
    """
    kind = KINDS[name]
    rows = ((mebibytes or kind.mebibytes) << 20) // (kind.width * 4)
    with tempfile.TemporaryDirectory(prefix="nnc-streaming-") as folder:
        kind.make(Path(folder, kind.file), rows, kind.width)
        np.save(Path(folder, "y.npy"), (np.arange(rows) % 2).astype(np.uint8))
        command = [sys.executable, str(Path(__file__).resolve()), name, "--child", folder, str(allowed), str(ahead)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--mib", type=int, help="size of the samples of each file")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON; those of other kinds stay")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        folder, allowed, ahead = arguments.child
        print(json.dumps(train(Path(folder), KINDS[arguments.kinds[0]], int(allowed), int(ahead))))
        return
    figures: dict[str, Any] = {}
    if arguments.out is not None and arguments.out.exists():
        figures = json.loads(arguments.out.read_text())
    figures |= {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
    for name in arguments.kinds or KINDS:
        figures[name] = measure(name, arguments.mib)
        print(json.dumps({name: figures[name]}, indent=2), flush=True)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
