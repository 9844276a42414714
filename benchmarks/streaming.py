"""Trains one epoch on a file larger than the memory it may use: `python benchmarks/streaming.py [--mib N] [--out F]`.

The data is an .npy file of float32[1024] rows, sparse but for some rows, so that it takes little room on the disk. A
child process imports nnc and compiles the spec; its address space is then limited to what it has, plus the plan's
training peak, plus 512 MiB. That the file does not fit is shown by mapping it, which must fail.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = 512 << 20
WIDTH = 1024
SPEC = """
model streaming
input x: float32[1024]
output y = x -> Dense(16, relu) -> Dense(1, sigmoid) { loss = binary_crossentropy, metrics = [accuracy] }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 512, epochs = 1, seed = 1 }
data { x = npy("x.npy"), y = npy("y.npy") }
"""


def make(folder: Path, mebibytes: int) -> int:
    """Write `x.npy` and `y.npy`; every 1000th row holds numbers, the others are holes. Gives the number of rows."""
    rows = (mebibytes << 20) // (WIDTH * 4)
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, WIDTH)}
    rng = np.random.default_rng(0)
    labels = np.zeros(rows, np.uint8)
    with (folder / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for row in range(0, rows, 1000):
            file.seek(start + row * WIDTH * 4)
            file.write(rng.standard_normal(WIDTH, np.float32).tobytes())
            labels[row] = 1
        file.truncate(start + rows * WIDTH * 4)
    np.save(folder / "y.npy", labels)
    return rows


def memory(field: str) -> int:
    """A figure of /proc/self/status in bytes: VmSize, VmPeak, VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def train(folder: Path) -> dict[str, Any]:
    """What the child does: limit its address space, then train for an epoch."""
    sys.path.insert(0, str(ROOT))
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.pipeline import compile_source
    from nnc.grammar.source import SourceFile
    from nnc.runtime import data
    from nnc.runtime import train as training
    from nnc.runtime.reference import ReferenceRuntime

    compiled = compile_source(SourceFile("streaming.nn", SPEC), CompileOptions())
    baseline, peak = memory("VmSize"), compiled.plan.program("train_step").peak_bytes
    limit = baseline + peak + ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        np.load(folder / "x.npy", mmap_mode="r")
        fits = True
    except OSError:
        fits = False
    began = time.perf_counter()
    network = compiled.network
    dataset = data.load(network.data, compiled.plan, folder, network.outputs)
    session = ReferenceRuntime().prepare(compiled.plan)
    history = training.fit(session, dataset.train, None, network.train)
    seconds = time.perf_counter() - began
    rows = len(dataset.train)
    return {
        "file_bytes": (folder / "x.npy").stat().st_size,
        "rows": rows,
        "mapping_the_file_fits": fits,
        "baseline_bytes": baseline,
        "plan_peak_bytes": peak,
        "allowed_beyond_bytes": ALLOWED,
        "limit_bytes": limit,
        "address_space_peak_beyond_baseline_bytes": memory("VmPeak") - baseline,
        "resident_peak_bytes": memory("VmHWM"),
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "loss": history.epochs[-1].figures["loss"],
    }


def measure(mebibytes: int) -> dict[str, Any]:
    """Make the file, train in a child process, give its figures. Raises: CalledProcessError if the child fails."""
    with tempfile.TemporaryDirectory(prefix="nnc-streaming-") as name:
        make(Path(name), mebibytes)
        command = [sys.executable, str(Path(__file__).resolve()), "--child", name]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=4096, help="size of the data file")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(train(arguments.child)))
        return
    figures = measure(arguments.mib)
    figures |= {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
