"""README and docs say what is so: specs in them compile, commands exist, links lead somewhere, lists are current."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from blocks import PAGES, ROOT, blocks

from nnc.cli import build_parser, main
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile

SPECS = [
    pytest.param(page, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    if page.name != "extending.md"  # its specs need its changes: test_extending.py
    for number, text in enumerate(blocks(page, "nn"))
]


def test_there_are_specs_to_compile() -> None:
    assert len(SPECS) >= 5


@pytest.mark.parametrize(("page", "text"), SPECS)
def test_spec_compiles(page: Path, text: str) -> None:
    compiled = compile_source(SourceFile(page.name, text), CompileOptions())
    assert compiled.plan.program("predict").steps


COMMANDS = [
    pytest.param(line.strip(), id=f"{page.relative_to(ROOT)}: {line.strip()}")
    for page in PAGES
    for language in ("sh", "console", "text")
    for block in blocks(page, language)
    for line in re.findall(r"^\s*(?:\$ )?((?:\.venv/bin/)?nnc [a-z].*)$", block, re.MULTILINE)
    if page.name not in {"errors.md", "commands.md"}  # errors shows wrong ones on purpose, commands is generated
]


def test_there_are_commands_to_parse() -> None:
    assert COMMANDS


@pytest.mark.parametrize("line", COMMANDS)
def test_command_exists(line: str) -> None:
    words = shlex.split(line.partition("#")[0])
    build_parser().parse_args(words[1:])


def test_pages_of_lists_are_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.stale_pages() == [], "run python docs/generate.py"


def test_tour_shows_many_mistakes_each_found_before_training() -> None:
    text = (ROOT / "docs" / "diagnostics-tour.md").read_text("utf-8")
    answers = [block for block in blocks(ROOT / "docs" / "diagnostics-tour.md", "text") if "error[" in block]
    assert len(answers) == len(re.findall("^### ", text, re.MULTILINE)) >= 40
    assert not [answer for answer in answers if "epoch" in answer.partition("error[")[0]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_a_page_lead_to_its_headings(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    for target in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchors.count(target) == 1, f"{page.name} links to #{target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_runs_the_second_command_of_the_readme() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines() if line]
    assert len(commands) == 2
    assert commands[0].endswith("nnc run digits")
    assert commands[1].endswith("-m pytest -n auto")
    assert commands[1] in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_explained_codes_exist(capsys: pytest.CaptureFixture[str]) -> None:
    from nnc.grammar.catalogue import CATALOGUE

    for code in CATALOGUE:
        assert main(["explain", code]) == 0
        assert capsys.readouterr().out.startswith(f"{code}: ")
