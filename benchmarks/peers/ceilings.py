"""The ceilings of this machine, and the floor that they put under a row: ceilings.c, compiled and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .job import Job

SOURCE = Path(__file__).with_name("ceilings.c")
SIZES = tuple(16 << 10 << 2 * k for k in range(8))  # bytes: 16 KiB, 64 KiB ... 256 MiB
_FLAGS = ("-O2", "-march=native", "-ffp-contract=fast", "-pthread")


@dataclass(frozen=True)
class Ceilings:
    """For one number of threads: `fma` float32 operations/s, `read` and `update` bytes/s by the size of the array.

    An update reads and writes every byte; both count.
    """

    threads: int
    fma: float
    read: dict[int, float]
    update: dict[int, float]

    def floor(self, job: Job) -> tuple[float, float]:
        """Seconds per step that no program gets below: of the operations, and of the bytes.

        The bytes go at the speed of the smallest measured size that holds what the step touches.
        """
        size = next((size for size in SIZES if size >= job.working_set()), SIZES[-1])
        speed = (self.read if job.mode == "predict" else self.update)[size]
        return job.flops() / self.fma, job.bytes() / speed


def compiler() -> str | None:
    """The C compiler: $CC, cc, gcc or clang; None where there is none."""
    names = [name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name]
    return next((found for found in map(shutil.which, names) if found), None)


def measure(threads: int, seconds: float, *, repeats: int = 3) -> Ceilings:
    """The best of `repeats` runs of each, of `seconds`. Raises: CalledProcessError, FileNotFoundError (no compiler)."""
    found = compiler()
    if found is None:
        raise FileNotFoundError("no C compiler")
    with tempfile.TemporaryDirectory(prefix="nnc-ceilings-") as folder:
        program = str(Path(folder) / "ceilings")
        subprocess.run([found, *_FLAGS, str(SOURCE), "-o", program], check=True)

        def best(kind: str, *size: int) -> float:
            words = [program, kind, str(threads), str(seconds), *map(str, size)]
            return max(float(subprocess.run(words, check=True, capture_output=True).stdout) for _ in range(repeats))

        reads = {size: best("read", size) for size in SIZES}
        updates = {size: best("update", size) for size in SIZES}
        return Ceilings(threads, best("fma"), reads, updates)
