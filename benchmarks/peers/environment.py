"""The peers' own virtual environment, outside the repository, and what each peer takes on the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("torch", "jax", "keras", "tensorflow-cpu", "onnxruntime", "onnx", "tinygrad", "numpy")
ROOT = Path(__file__).resolve().parents[2]

# what one installs for a job -> the distributions that one names
INSTALLS: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "numpy"),
    "jax": ("jax", "numpy"),
    "keras-jax": ("keras", "jax"),
    "keras-tensorflow": ("keras", "tensorflow-cpu"),
    "keras-torch": ("keras", "torch"),
    "tinygrad": ("tinygrad", "numpy"),
    "onnxruntime": ("onnxruntime",),
}

# Run by the interpreter in question: bytes of the distributions named, with all that they require.
_SIZES = """
import json, re, sys
from importlib.metadata import PackageNotFoundError, distribution

def closure(names):
    seen, todo = {}, list(names)
    while todo:
        name = re.match(r"[A-Za-z0-9._-]+", todo.pop())[0]
        key = re.sub("[-_.]+", "-", name).lower()
        if key in seen:
            continue
        try:
            seen[key] = found = distribution(name)
        except PackageNotFoundError:
            if name in names:
                return None
            continue  # asked for on other systems
        todo += [text for text in found.requires or () if "extra ==" not in text]
    return list(seen.values())

def size(found):
    paths = (file.locate() for file in found.files or () if "__pycache__" not in file.parts)
    return sum(path.stat().st_size for path in paths if path.is_file())

closures = {name: closure(wanted) for name, wanted in json.loads(sys.argv[1]).items()}
print(json.dumps({name: found and sum(map(size, found)) for name, found in closures.items()}))
"""


def default_folder() -> Path:
    """Where the environment is made unless told otherwise: in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "nnc-benchmarks" / "peers"


def prepare(folder: Path) -> Path:
    """The interpreter of the environment in `folder`, which is made and filled where there is none yet.

    Raises: CalledProcessError where pip fails.
    """
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(command, check=True, stdout=sys.stderr)
        complete.write_text(" ".join(PACKAGES) + "\n")
    return python


def install_sizes(python: Path) -> dict[str, int | None]:
    """Bytes of nnc and of each of INSTALLS with its requirements, None where that is not installed.

    Compiled Python files are not counted.
    """
    sizes = _ask(str(python), INSTALLS)
    folders = [ROOT / name for name in ("nnc", "grammar", "compiler", "runtime", "specs")]
    files = (path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts)
    own = sum(path.stat().st_size for path in files if path.is_file())
    required = ("numpy", "lark", "networkx", "safetensors", "rich")
    libraries = _ask(sys.executable, {"nnc": required})["nnc"]
    return {"nnc": None if libraries is None else own + libraries, **sizes}


def _ask(python: str, wanted: dict[str, tuple[str, ...]]) -> dict[str, int | None]:
    command = [python, "-c", _SIZES, json.dumps(wanted)]
    found: dict[str, int | None] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return found
