"""The four extensions of docs/extending.md, applied to a copy of the sources: each touches one file and trains."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import ROOT, apply, blocks

PAGE = ROOT / "docs" / "extending.md"
CHANGES = blocks(PAGE, "diff")
SPECS = blocks(PAGE, "nn")
DATA = """
data {
  table = csv("table.csv")
  x = table[a..d]
%s
}
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with every change of the page, and a table to train on."""
    tree = tmp_path_factory.mktemp("extended")
    for folder in ("nnc", "grammar", "compiler", "runtime", "specs"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for change in CHANGES:
        apply(change, tree)
    rows = "".join(f"{i % 3},{i % 5},{i % 7},{i % 2},{i % 3 - i % 5}\n" for i in range(200))
    (tree / "table.csv").write_text("a,b,c,d,target\n" + rows)
    return tree


def test_each_change_has_a_spec_that_uses_it() -> None:
    assert len(CHANGES) == len(SPECS) == 4


@pytest.mark.parametrize("number", range(4))
def test_extension_trains(extended: Path, number: int) -> None:
    spec = SPECS[number]
    targets = [line.split()[1] for line in spec.splitlines() if line.startswith("output ")]
    data = DATA % "\n".join(f"  {target} = table[target]" for target in targets)
    path = extended / f"example{number}.nn"
    path.write_text(spec + data)
    command = [sys.executable, "-m", "nnc", "run", path.name, "--epochs", "2"]
    done = subprocess.run(command, cwd=extended, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "total" in done.stdout
