"""The wheel, the sdist, an editable install and a bare checkout each hold the whole product and work.

All are built from a copy of the tree, without network: setuptools comes from the environment that runs the tests.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"nnc": "nnc"} | {folder: f"nnc/{folder}" for folder in ("grammar", "compiler", "runtime", "specs")}
DATA = ("*.lark", "*.nn", "*.h", "*.cuh", "py.typed")
SPEC = "nn 1\ninput x: float32[2]\noutput y = x -> Dense(1) { loss = mse }\n"


def expected_files() -> set[str]:
    """What an installed nnc must hold, read from the tree."""
    found = set()
    for folder, package in FOLDERS.items():
        files = [path for pattern in ("*.py", *DATA) for path in (ROOT / folder).rglob(pattern)]
        files += list((ROOT / folder / "data").glob("*.*")) if folder == "specs" else []
        found |= {f"{package}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}
    return {name for name in found if "__pycache__" not in name}


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what is built or hidden, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("tree") / "nnc"
    ignore = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "benchmarks", "docs")
    shutil.copytree(ROOT, copy, ignore=ignore)
    return copy


@pytest.fixture(scope="module")
def distributions(tree: Path) -> Path:
    """A directory with the sdist and the wheel, made by the build backend itself."""
    made = tree.parent / "dist"
    made.mkdir()
    backend = "import setuptools.build_meta as backend, sys; "
    for kind in ("sdist", "wheel"):
        run(sys.executable, "-c", f"{backend}backend.build_{kind}(sys.argv[1])", str(made), cwd=tree)
    return made


def test_wheel_holds_every_file_of_the_tree(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected_files()


def test_wheel_names_its_licence_and_its_command(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    names = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
    assert "licenses/LICENSE" in names
    assert "nnc = nnc.cli:main" in archive.read(names["entry_points.txt"]).decode()


def test_sdist_builds_the_same_wheel(distributions: Path, tmp_path: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    code = "import setuptools.build_meta as backend, sys; backend.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", code, str(tmp_path), cwd=unpacked)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected_files()


def test_installed_wheel_works_away_from_the_tree(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    check_works(sys.executable, tmp_path, tmp_path / "site", PYTHONPATH=str(tmp_path / "site"))


def test_editable_install_works_away_from_the_tree(tree: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    outer = [path for path in [*site.getsitepackages(), *sys.path] if Path(path).name == "site-packages"]
    (packages / "outer.pth").write_text("".join(f"{path}\n" for path in outer))  # pip, setuptools, NumPy ...
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(str(python), "-m", "pip", "install", "-q", *options, "-e", ".", cwd=tree)
    check_works(str(python), tmp_path, tree)


def test_bare_checkout_works_from_its_root(tree: Path) -> None:
    check_works(sys.executable, tree, tree)


def check_works(python: str, cwd: Path, home: Path, **environment: str) -> None:
    """The command line finds its grammar and its specs, and comes from `home`."""
    where = run(python, "-c", "import nnc, nnc.grammar; print(nnc.grammar.__file__)", cwd=cwd, **environment)
    assert Path(where.strip()).resolve().is_relative_to(home.resolve())
    (cwd / "tiny.nn").write_text(SPEC)
    assert "ok" in run(python, "-m", "nnc", "check", "tiny.nn", cwd=cwd, **environment)
    assert "digits" in run(python, "-m", "nnc", "specs", cwd=cwd, **environment)
    assert "ok" in run(python, "-m", "nnc", "check", "digits", cwd=cwd, **environment)
