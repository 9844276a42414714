"""What must be there before anything is measured: a GPU that nnc can use, and peers that use the same one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import environment

DEVICE_MISSING = 4  # the exit status, nnc's own for a device or toolchain that is missing
PACKAGES = {"torch": ("torch", "numpy"), "jax": ("jax[cuda{cuda}]", "numpy")}
_PATIENCE = 300.0  # seconds to import a library and to start the GPU

# Run by an interpreter: what the library is, and the name of the GPU that it sees, none or null.
_QUESTIONS = {
    "torch": """
import json, torch
gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpu": gpu}))
""",
    "jax": """
import json, jax
try:
    gpu = jax.devices("cuda")[0].device_kind
except RuntimeError:
    gpu = None
print(json.dumps({"version": jax.__version__, "gpu": gpu}))
""",
}


@dataclass(frozen=True)
class Lack:
    """Why nothing can be measured, and the command that mends it."""

    problem: str
    command: str

    def __str__(self) -> str:
        return f"error: {self.problem}\n  help: {self.command}\n"


def default_folder() -> Path:
    """Where the peers' environments are looked for: a folder for each library, in the user's cache."""
    return environment.default_folder().with_name("gpu-peers")


def interpreters(folder: Path, given: dict[str, Path | None]) -> dict[str, Path]:
    """Each library's interpreter: the one given, or that of its environment in `folder`."""
    return {name: given.get(name) or folder / name / "bin" / "python" for name in PACKAGES}


def ask(library: str, python: Path) -> dict[str, Any] | str:
    """What an interpreter says of a library on a GPU; or, as text, why it cannot use one."""
    if not python.exists():
        return f"there is no interpreter {python}"
    try:
        done = subprocess.run(
            [str(python), "-c", _QUESTIONS[library]], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} gives no answer: {type(error).__name__}"
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["without a word"]
        return f"{python} does not load {library}: {words[-1]}"
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer if answer["gpu"] else f"{library} {answer['version']} of {python} finds no GPU"


def look(libraries: Sequence[str], pythons: dict[str, Path], cuda: int) -> tuple[dict[str, Any], list[Lack]]:
    """What the libraries say, and what is lacking. cuda: the major version that the driver runs."""
    answers, lacks = {}, []
    for library in libraries:
        answer = ask(library, pythons[library])
        if isinstance(answer, str):
            lacks.append(Lack(f"{library} cannot be measured: {answer}", _command(library, pythons[library], cuda)))
        else:
            answers[library] = answer
    return answers, lacks


def _command(library: str, python: Path, cuda: int) -> str:
    """What sets up a library where its interpreter was looked for."""
    packages = " ".join(f"'{name.format(cuda=cuda)}'" for name in PACKAGES[library])
    install = f"{python} -m pip install --upgrade {packages}"
    return install if python.exists() else f"python -m venv {python.parent.parent} && {install}"
