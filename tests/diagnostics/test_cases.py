"""Every error code has a failing program, and the program's errors are as recorded.

A case is one file: the command after `$`, sections `--- NAME` with the files it finds, `--- output` with what it
prints on stderr, `--- exit N`. `pytest --bless` writes the last two anew. The command is `nnc ...`, or `python FILE`
for what only a Python program can do wrong.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnc.cli import main
from nnc.grammar.catalogue import CATALOGUE
from nnc.grammar.diagnostics import NncError
from nnc.grammar.rendering import render

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((Path(__file__).parent / "cases").glob("*.case"))
CODE = re.compile(r"E0\d{3}")


@dataclass(frozen=True)
class Case:
    """A failing program: what is run, on what, and what came of it."""

    command: str
    files: dict[str, str]
    output: str
    exit_code: str

    def text(self) -> str:
        files = "".join(f"--- {name}\n{text}" for name, text in self.files.items())
        return f"$ {self.command}\n{files}--- output\n{self.output}--- exit {self.exit_code}\n"


def read_case(path: Path) -> Case:
    head, *parts = re.split(r"^--- (.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    exit_section = next((name for name in sections if name.startswith("exit ")), "exit ?")
    sections.pop(exit_section, None)
    output = sections.pop("output", "")
    command = head.strip().removeprefix("$ ")
    assert "\n" not in command, f"{path.name}: one command per case"
    return Case(command, sections, output, exit_section.removeprefix("exit "))


def run(command: list[str]) -> int:
    """What the command ends with; its diagnostics are on stderr."""
    program, *arguments = command
    if program == "nnc":
        return main(arguments)
    assert program == "python"
    try:
        runpy.run_path(arguments[0])
    except NncError as error:
        sys.stderr.write(render(error.diagnostics))
        return error.exit_code
    return 0


def without_final_line_break(text: str) -> str:
    """A file whose case ends in a backslash alone ends without a line break."""
    return text.removesuffix("\\\n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(
    path: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = read_case(path)
    for name, text in case.files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(without_final_line_break(text), encoding="utf-8", newline="")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    exit_code = run(shlex.split(case.command))
    output = capsys.readouterr().err.replace(str(tmp_path), "DIRECTORY")
    found = Case(case.command, case.files, output, str(exit_code))
    if request.config.getoption("--bless"):
        path.write_text(found.text(), encoding="utf-8", newline="")
    assert path.read_text(encoding="utf-8") == found.text()
    assert exit_code != 0
    assert path.stem[:5] in output, f"{path.name} must show the code it is named after"
    assert "Traceback" not in output


def codes_in_sources() -> set[str]:
    """The codes that our own Python files mention, the catalogue apart."""
    files = [file for folder in ("grammar", "compiler", "runtime", "nnc") for file in (ROOT / folder).rglob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files if not file.name.startswith("catalogue")]
    return {code for text in texts for code in CODE.findall(text)}


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_case(code: str) -> None:
    assert any(path.name.startswith(code) for path in CASES)


def test_every_code_is_explained_and_used() -> None:
    assert codes_in_sources() == set(CATALOGUE)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_explanations_read_well(code: str) -> None:
    explanation = CATALOGUE[code]
    assert explanation.title.strip()
    assert not explanation.title.endswith(".")
    assert len(explanation.text.strip()) > 80
    assert max(map(len, explanation.text.splitlines())) <= 120
