"""docs/python.md is one program: its blocks run in order, and each prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blocks import ROOT

PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_program_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed: list[str] = []
    expected: list[str] = []
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, PAGE.name, "exec"), names)
            printed.append(capsys.readouterr().out)
            expected.append("")
        else:
            expected[-1] = text
    assert printed == expected
    assert len(printed) > 8
    assert (tmp_path / "curves.png").exists()
