"""The commands of README and docs/tutorial.md do what is shown there. `pytest --bless` records what they show now."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from blocks import ROOT
from walk import abridged, agrees, as_text, environment, perform, steps, walks

PAGE = ROOT / "docs" / "tutorial.md"
DATA = Path(os.environ.get("NNC_DATA") or ROOT.parent / "shared" / "data")
FILES = {
    "Passengers of the Titanic": ["titanic/titanic.csv"],
    "Handwritten digits": [
        f"mnist/{part}-ubyte.gz"
        for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    ],
    "Without data of your own": [],
}


@pytest.mark.parametrize(
    ("shown", "found", "is_same"),
    [
        (["epoch  2/9  loss 0.5  12 ms"], ["epoch  2/9  loss 0.51  1.5 s"], True),
        (["epoch 2/9  loss 0.5"], ["epoch 2/8  loss 0.5"], False),
        (["stopped after epoch 40", "40 epochs"], ["stopped after epoch 41", "41 epochs"], True),
        (["test split, 178 samples"], ["test split, 177 samples"], False),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "...", "d"], ["a", "b", "c"], False),
        (["a", "^C", "after 96 samples"], ["a", "^C", "after 64 samples"], True),
        (["a", "^C", "b"], ["a", "b"], False),
    ],
)
def test_what_may_differ(shown: list[str], found: list[str], is_same: bool) -> None:
    assert agrees(tuple(shown), tuple(found)) is is_same


def test_every_section_with_commands_is_walked() -> None:
    assert list(walks(PAGE)) == list(FILES)


@pytest.mark.parametrize(
    "heading",
    [
        pytest.param("Passengers of the Titanic", marks=pytest.mark.acceptance),
        pytest.param("Handwritten digits", marks=[pytest.mark.acceptance, pytest.mark.slow]),
        "Without data of your own",
    ],
)
def test_walk(heading: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for name in FILES[heading]:
        if not (DATA / name).is_file():
            pytest.skip(f"{DATA / name} is not there")
        target = tmp_path / (name if name.startswith("mnist") else Path(name).name)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(DATA / name)
    follow(PAGE, heading, tmp_path, bless=request.config.getoption("--bless"))


def test_readme(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    page = ROOT / "README.md"
    (heading,) = walks(page)
    follow(page, heading, tmp_path, bless=request.config.getoption("--bless"))


def follow(page: Path, heading: str, folder: Path, *, bless: bool) -> None:
    """Run the commands below the heading; the page must show what they do, or is made to."""
    variables = environment(folder)
    code = 0
    for block in walks(page)[heading]:
        walked = steps(block)
        for number, step in enumerate(walked):
            shown, code = perform(step, code, folder, variables)
            if bless:
                walked[number] = step = replace(step, shown=abridged(step.shown, shown))
            assert agrees(step.shown, shown), "\n".join([f"$ {step.command}", *shown, "`pytest --bless` records this"])
            is_asked = [after.command for after in walked[number + 1 : number + 2]] == ["echo $?"]
            assert code == 0 or is_asked, f"$ {step.command} ends with {code}"
        if bless:
            page.write_text(page.read_text("utf-8").replace(block, as_text(walked)), encoding="utf-8")
