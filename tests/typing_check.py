"""Runs mypy --strict over the product: `python tests/typing_check.py`.

mypy cannot follow setuptools' mapping of `nnc.grammar` to `grammar/`, so links are laid under build/typing/nnc and
checked there. A broken link would still end in "Success", hence the count of files is compared too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKS = ROOT / "build" / "typing"
PACKAGES = {"nnc": "nnc"} | {name: f"nnc/{name}" for name in ("grammar", "compiler", "runtime", "specs")}


def lay_links() -> int:
    """Make build/typing/nnc look as if installed; gives how many Python files it then holds."""
    shutil.rmtree(LINKS, ignore_errors=True)
    count = 0
    for folder, package in PACKAGES.items():
        for source in (ROOT / folder).rglob("*.py"):
            link = LINKS / package / source.relative_to(ROOT / folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
            count += 1
    (LINKS / "nnc" / "py.typed").touch()
    return count


def check() -> str:
    """mypy's complaints, or "" if there are none and every file was seen."""
    expected = lay_links()
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "-p", "nnc"]
    command += ["--cache-dir", str(ROOT / ".mypy_cache")]
    environment = {**os.environ, "MYPYPATH": str(LINKS)}
    done = subprocess.run(command, cwd=LINKS, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Success: no issues found in (\d+) source files", done.stdout)
    if found is None:
        return done.stdout + done.stderr
    return "" if int(found[1]) == expected else f"mypy saw {found[1]} files, the tree has {expected}"


if __name__ == "__main__":
    problems = check()
    sys.stdout.write(problems or "mypy --strict: no issues\n")
    raise SystemExit(bool(problems))
