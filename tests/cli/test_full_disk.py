"""A disk that is really full: a small tmpfs, in a mount namespace of its own, on which nnc writes what it saves."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nnc.runtime.checkpoint import load_checkpoint
from nnc.runtime.modelfile import load

ROOT = Path(__file__).resolve().parents[2]
FULL = "no space left on device"
SPEC = """\
nn 1
model small
input x: float32[8]
output y = x -> Dense(64, relu) -> Dropout(0.1) -> Dense(1) { loss = mse }
train { optimizer = adam(learning_rate = 0.01), batch_size = 8, epochs = 3, seed = 2, checkpoint = every(steps = 7) }
data { x = npy("x.npy"), y = npy("y.npy") }
"""


@dataclass(frozen=True)
class Disk:
    """A tmpfs of 1 MiB at `path`, which only the processes of `run` see so; `seen` is the same from outside."""

    keeper: int
    path: Path

    @property
    def seen(self) -> Path:
        return Path(f"/proc/{self.keeper}/root{self.path}")

    def run(self, *words: str, program: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """`nnc WORDS`, or a Python program, in a process that has the disk."""
        enter = ["nsenter", f"--target={self.keeper}", "--user", "--mount", "--preserve-credentials"]
        python = [sys.executable, "-c", program] if program else [sys.executable, "-m", "nnc"]
        everything = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1", **environment}
        return subprocess.run([*enter, *python, *words], capture_output=True, text=True, env=everything, check=False)

    def fill(self, left: int = 0) -> None:
        """Leave `left` bytes, rounded down to whole pages."""
        with (self.seen / "filler").open("wb", buffering=0) as file:
            size = 1 << 16
            while size >= 512:
                try:
                    is_whole = file.write(bytes(size)) == size
                except OSError:
                    is_whole = False
                size = size if is_whole else size // 2
            if left:
                file.truncate(file.tell() - left)

    def contents(self, *, but: tuple[str, ...] = ("filler",)) -> dict[str, bytes]:
        files = (path for path in self.seen.rglob("*") if path.is_file() and path.name not in but)
        return {str(path.relative_to(self.seen)): path.read_bytes() for path in files}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Skips where this process may not mount a file system, even as the root of a user namespace of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    script = 'mount -t tmpfs -o size=1m,mode=0777 tmpfs "$1" && echo mounted && exec cat'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(path)]
    pipe = subprocess.PIPE
    try:
        keeper = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `unshare` here, so no small disk can be mounted")
    with keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        try:
            if keeper.stdout.readline() != "mounted\n":
                pytest.skip(f"no small disk can be mounted: {keeper.stderr.read().strip()}")
            yield Disk(keeper.pid, path)
        finally:
            keeper.stdin.close()


@pytest.fixture
def spec(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x.sum(axis=1))
    (tmp_path / "small.nn").write_text(SPEC)
    return str(tmp_path / "small.nn")


def refused(done: subprocess.CompletedProcess[str], path: Path, code: str = "E0807", exit_code: int = 2) -> None:
    """It says in one diagnostic what could not be written and why, and nothing else went wrong."""
    assert done.returncode == exit_code, done.stderr
    assert f"error[{code}]" in done.stderr
    assert str(path) in done.stderr
    assert FULL in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("nnc: 1 error\n")


@pytest.mark.parametrize("left", [0, 4096, 16384])
def test_a_run_keeps_its_checkpoint_model_and_history_and_goes_on_when_there_is_room(
    disk: Disk, spec: str, tmp_path: Path, left: int
) -> None:
    folder = disk.path / "run"
    begun = disk.run("run", spec, "--run", str(folder), "--epochs", "2")
    assert begun.returncode == 0, begun.stderr
    before = disk.contents()
    disk.fill(left)
    refused(disk.run("run", "--resume", str(folder), "--epochs", "5"), folder)
    after = disk.contents()
    for name in ("run/model.safetensors", "run/checkpoints/latest.safetensors"):
        assert before.keys() <= after.keys()
        load(disk.seen / name)
    for name in ("history.csv", "history.jsonl"):
        assert after[f"run/{name}"].startswith(before[f"run/{name}"]), name
    assert not [name for name in after if name not in before], "what was half written is gone"
    (disk.seen / "filler").unlink()
    resumed = disk.run("run", "--resume", str(folder), "--epochs", "5")
    assert resumed.returncode == 0, resumed.stderr
    whole = disk.run("run", spec, "--run", str(tmp_path / "whole"), "--epochs", "5")
    assert whole.returncode == 0, whole.stderr
    found, expected = load(disk.seen / "run" / "model.safetensors"), load(tmp_path / "whole" / "model.safetensors")
    for name, value in expected.variables.items():
        np.testing.assert_array_equal(found.variables[name], value)
    assert load_checkpoint(disk.seen / "run" / "checkpoints" / "latest.safetensors")[1].epoch == 5


def test_a_first_run_without_room_leaves_nothing_half_written(disk: Disk, spec: str) -> None:
    disk.fill()
    refused(disk.run("run", spec, "-o", str(disk.path / "model.safetensors")), disk.path)
    done = disk.run("run", spec, "--run", str(disk.path / "run"))
    refused(done, disk.path / "run")
    assert not [content for content in disk.contents().values() if content]


def test_an_older_model_stays(disk: Disk, spec: str) -> None:
    model = disk.path / "model.safetensors"
    assert disk.run("run", spec, "-o", str(model)).returncode == 0
    before = disk.contents()
    disk.fill()
    refused(disk.run("run", spec, "-o", str(model), "--seed", "9"), disk.path)
    assert disk.contents() == before


@pytest.mark.parametrize("left", [0, 4096])
@pytest.mark.parametrize("ending", ["csv", "npz", "npy"])
def test_older_predictions_stay(disk: Disk, spec: str, tmp_path: Path, ending: str, left: int) -> None:
    model, target = str(tmp_path / "model.safetensors"), disk.path / f"out.{ending}"
    assert disk.run("run", spec, "-o", model).returncode == 0
    np.save(tmp_path / "many.npy", np.zeros((20_000, 8), np.float32))
    assert disk.run("predict", model, "--input", f"@{tmp_path}/x.npy", "-o", str(target)).returncode == 0
    before = disk.contents()
    disk.fill(left)
    refused(disk.run("predict", model, "--input", f"@{tmp_path}/many.npy", "-o", str(target)), target)
    assert disk.contents() == before


def test_no_room_for_what_predictions_need_meanwhile(disk: Disk, spec: str, tmp_path: Path) -> None:
    """A file of predictions on another disk: what is full is named, and how to have another."""
    model = str(tmp_path / "model.safetensors")
    assert disk.run("run", spec, "-o", model).returncode == 0
    np.save(tmp_path / "many.npy", np.zeros((20_000, 8), np.float32))
    disk.fill(left=8192)
    words = ("--input", f"@{tmp_path}/many.npy", "-o", str(tmp_path / "out.npz"))
    done = disk.run("predict", model, *words, TMPDIR=str(disk.path))
    refused(done, disk.path)
    assert "TMPDIR" in done.stderr
    assert not (tmp_path / "out.npz").exists()


def test_predictions_on_standard_output(disk: Disk, spec: str, tmp_path: Path) -> None:
    model = str(tmp_path / "model.safetensors")
    assert disk.run("run", spec, "-o", model).returncode == 0
    disk.fill()
    program = (
        "import os, sys; os.dup2(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT), 1)\n"
        "from nnc.cli import main; sys.exit(main())"
    )
    words = ("predict", model, "--input", f"@{tmp_path}/x.npy")
    done = disk.run(str(disk.path / "out.csv"), *words, program=program)
    assert done.returncode == 2
    assert f"cannot write to standard output: {FULL}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_no_room_to_unpack_data(disk: Disk, spec: str, tmp_path: Path) -> None:
    """Data too large for memory, here above 1 MiB, is unpacked to the directory for temporary files."""
    head = struct.pack(">HBB2I", 0, 13, 2, 100_000, 8)
    (tmp_path / "x-ubyte.gz").write_bytes(gzip.compress(head + bytes(100_000 * 8 * 4)))
    np.save(tmp_path / "y.npy", np.zeros(100_000, np.float32))
    Path(spec).write_text(SPEC.replace('npy("x.npy")', 'idx("x-ubyte.gz")'))
    program = (
        "import sys; from nnc.runtime.data import stream; stream.STREAMED_FROM = 1 << 20\n"
        "from nnc.cli import main; sys.exit(main())"
    )
    done = disk.run("run", spec, "-o", str(tmp_path / "m.safetensors"), program=program, TMPDIR=str(disk.path))
    refused(done, disk.path, "E0702", 3)
    assert "set TMPDIR to a directory with more room" in done.stderr
    assert not disk.contents()
