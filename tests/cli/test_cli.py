"""The command line: what goes to stdout and what to stderr, exit codes, pipes, interruptions, our own bugs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nnc import cli
from nnc.commands import check, console, sources

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
nn 1

model tiny

param units: int = 4 in 1..64

input x: float32[2]

output y = x -> Dense(units, relu) -> Dense(1) { loss = mse, metrics = [mae] }

train { optimizer = sgd(learning_rate = 0.05), batch_size = 4, epochs = 3 }

data {
  table = csv("tiny.csv")
  x = table[a, b]
  y = table[y]
  split { test = 25% }
}
"""
ROWS = "a,b,y\n" + "".join(f"{i % 3},{i % 5},{i % 3 - i % 5}\n" for i in range(40))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a small spec and its data, where commands run."""
    (tmp_path / "tiny.nn").write_text(SPEC)
    (tmp_path / "tiny.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nnc(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "nnc", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


# --- what a command costs -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"numpy", "lark", "networkx", "rich", "safetensors", "json", "subprocess"}),
        (["check", "tiny.nn"], {"numpy", "rich", "safetensors"}),
        (["explain"], {"numpy", "lark", "networkx", "rich", "safetensors"}),
    ],
)
def test_command_imports_only_what_it_needs(here: Path, arguments: list[str], absent: set[str]) -> None:
    code = f"import sys; from nnc.cli import main; main({arguments!r}); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert absent.isdisjoint(done.stderr.split())


# --- check, fmt, explain --------------------------------------------------------------------------------------------
def test_check_says_ok_on_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "tiny.nn"]) == 0
    told = capsys.readouterr()
    assert told.out == "tiny.nn: ok, model tiny, 3 layers\n"
    assert told.err == ""


def test_check_reports_every_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "wrong.nn").write_text("input x: float32[2]\noutput y = x -> Dens(1)\n")
    assert cli.main(["check", "wrong.nn", "tiny.nn"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("tiny.nn: ok")
    assert "error[E0308]" in told.err


def test_check_as_json_is_for_scripts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "wrong.nn").write_text("input x: float32[2]\noutput y = x -> Dens(1)\n")
    assert cli.main(["check", "wrong.nn", "--json"]) == 1
    told = capsys.readouterr()
    (problem,) = json.loads(told.out)
    assert (problem["code"], problem["file"], problem["line"], problem["column"]) == ("E0308", "wrong.nn", 2, 17)
    assert told.err == ""


def test_specs_are_read_from_stdin(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    assert cli.main(["check", "-"]) == 0
    assert capsys.readouterr().out.startswith("<stdin>: ok")


def test_fmt_rewrites_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fmt", "tiny.nn", "--check"]) == 1
    assert cli.main(["fmt", "tiny.nn"]) == 0
    text = (here / "tiny.nn").read_text()
    assert text != SPEC
    assert cli.main(["fmt", "tiny.nn", "--check"]) == 0
    capsys.readouterr()
    assert cli.main(["fmt", "tiny.nn", "--stdout"]) == 0
    assert capsys.readouterr().out == text
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


def test_fmt_leaves_a_broken_spec_alone(here: Path) -> None:
    (here / "broken.nn").write_text("input x float32[2]\n")
    assert cli.main(["fmt", "broken.nn"]) == 1
    assert (here / "broken.nn").read_text() == "input x float32[2]\n"


def test_fmt_keeps_the_mode_of_a_file(here: Path) -> None:
    (here / "tiny.nn").chmod(0o640)
    assert cli.main(["fmt", "tiny.nn"]) == 0
    assert (here / "tiny.nn").stat().st_mode & 0o777 == 0o640


def test_a_spec_that_is_not_text_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "picture.nn").write_bytes(b"\x89PNG\r\n")
    assert cli.main(["check", "picture.nn"]) == 2
    assert "error[E0803]" in capsys.readouterr().err


# --- compile --------------------------------------------------------------------------------------------------------
def test_compile_prints_a_table_and_totals(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "tiny.nn", "--set", "units=8"]) == 0
    told = capsys.readouterr()
    assert "Dense(8, relu)" in told.out
    assert "parameters  33" in told.out
    assert "next: `nnc run tiny.nn`" in told.err


def test_compile_as_json_has_the_figures_of_the_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "tiny.nn", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parameters"] == sum(row["parameters"] for row in summary["rows"]) == 4 * 3 + 5
    assert summary["training_peak_bytes"] >= summary["inference_peak_bytes"] > 0


@pytest.mark.parametrize("stage", [*cli.compile_.STAGES, *cli.compile_.DRAWINGS])
def test_compile_emits_every_stage(here: Path, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "tiny.nn", "--emit", stage, "--verify"]) == 0
    first = capsys.readouterr().out
    assert "x" in first
    assert cli.main(["compile", "tiny.nn", "--emit", stage]) == 0
    assert capsys.readouterr().out == first


def test_stages_are_those_of_the_pipeline() -> None:
    from nnc.compiler.pipeline import NAMES

    assert cli.compile_.STAGES == NAMES


def test_compile_writes_the_plan(here: Path) -> None:
    assert cli.main(["compile", "tiny.nn", "-o", "plan.json"]) == 0
    from nnc.compiler.planfile import from_json

    assert from_json((here / "plan.json").read_text()).model == "tiny"


def test_compile_stops_where_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "tiny.nn", "--stop-after", "shapes", "--timing"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split()[0] for line in told.err.splitlines()[:4]] == ["ast", "network", "shapes", "total"]


def test_compile_explains_fusion(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "tiny.nn", "--explain-fusion"]) == 0
    assert "matmul over float32[batch, 4] with bias, relu" in capsys.readouterr().out


def test_a_budget_that_is_exceeded_has_an_exit_code_of_its_own(here: Path) -> None:
    assert cli.main(["compile", "tiny.nn", "--max-memory", "100"]) == 6
    assert cli.main(["compile", "tiny.nn", "--max-memory", "1MiB"]) == 0


def test_batch_size_auto_takes_what_fits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for bound in ("4KiB", "8KiB"):
        assert cli.main(["compile", "tiny.nn", "--batch-size", "auto", "--max-memory", bound, "--json"]) == 0
        sizes.append(json.loads(capsys.readouterr().out)["batch_size"])
    assert 1 <= sizes[0] < sizes[1]


# --- run ------------------------------------------------------------------------------------------------------------
def test_run_trains_evaluates_and_writes_the_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "tiny.nn"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == "tiny, test split, 10 samples"
    assert [line.split()[0] for line in told.out.splitlines()[3:]] == ["y.loss", "y.mae", "total"]
    assert "epoch 3/3" in told.err
    assert "nnc.load(" in told.err
    assert (here / "tiny.safetensors").is_file()


def test_run_as_json_adds_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "tiny.nn", "--json", "--epochs", "2", "-o", "m.safetensors", "--seed", "7"]) == 0
    *epochs, told = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert told["total"] == sum(term["weight"] * term["value"] for term in told["terms"] if term["kind"] != "metric")
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert told["file"] == "m.safetensors"


def test_run_is_repeatable(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "tiny.nn"]) == 0
    first = capsys.readouterr().out, (here / "tiny.safetensors").read_bytes()
    assert cli.main(["run", "tiny.nn"]) == 0
    assert (capsys.readouterr().out, len((here / "tiny.safetensors").read_bytes())) == (first[0], len(first[1]))


def test_run_finds_data_elsewhere(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (here / "tiny.csv").rename(elsewhere / "tiny.csv")
    assert cli.main(["run", "tiny.nn"]) == 3
    assert cli.main(["run", "tiny.nn", "--data", str(elsewhere)]) == 0


def test_run_refuses_before_training_what_it_could_not_write(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "tiny.nn", "-o", "none/tiny.safetensors"]) == 2
    assert "epoch" not in capsys.readouterr().err


def test_run_uses_a_bundled_spec_and_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "logic_and", "--epochs", "1"]) == 0
    assert "using the bundled spec logic_and.nn" in capsys.readouterr().err
    assert (here / "logic_and.safetensors").is_file()


# --- specs ----------------------------------------------------------------------------------------------------------
def test_specs_lists_what_is_bundled(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["specs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(sources.bundled_names())
    assert all(len(line.split()) > 3 for line in lines)


def test_a_copied_spec_works_with_its_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["specs", "--copy", "logic_or", "--to", "mine"]) == 0
    assert capsys.readouterr().out.splitlines() == ["mine/logic_or.nn", "mine/data/logic.csv"]
    assert cli.main(["run", "mine/logic_or.nn", "--epochs", "1"]) == 0
    assert cli.main(["specs", "--copy", "logic_or", "--to", "mine"]) == 2


# --- manners --------------------------------------------------------------------------------------------------------
def test_version_and_bare_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import nnc as product

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"nnc {product.__version__}\n"
    assert cli.main([]) == 2
    assert capsys.readouterr().out == ""


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    command = f"{sys.executable} -m nnc compile tiny.nn --emit plan | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert done.returncode == 0


def test_ctrl_c_ends_quietly(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "run", interrupted)
    assert cli.main(["check", "tiny.nn"]) == 130
    assert capsys.readouterr().err == "\nnnc: interrupted\n"


def test_our_own_bug_says_what_to_send(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(check, "run", broken)
    monkeypatch.delenv("NNC_DEBUG", raising=False)
    assert cli.main(["check", "tiny.nn"]) == 70
    told = capsys.readouterr().err
    assert "a bug in nnc, not in your spec" in told
    assert "Traceback" not in told
    monkeypatch.setenv("NNC_DEBUG", "1")
    assert cli.main(["check", "tiny.nn"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert console.wants_colour(Terminal())
    assert not console.wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not console.wants_colour(Terminal())


def test_python_m_nnc_is_the_command(here: Path) -> None:
    done = nnc("check", "tiny.nn", cwd=here)
    assert (done.returncode, done.stdout) == (0, "tiny.nn: ok, model tiny, 3 layers\n")


@pytest.mark.parametrize("print_json", [console.result_json, console.result_line])
def test_what_is_undefined_is_null_in_json(
    print_json: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({"auc": float("nan"), "terms": [float("inf"), 0.5, 2]})
    assert json.loads(capsys.readouterr().out) == {"auc": None, "terms": [None, 0.5, 2]}
