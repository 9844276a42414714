"""The table of the architecture: who may import whom, how long files and functions may grow, which names are barred."""

from __future__ import annotations

import ast
import sys

import pytest
from import_graph import ROOT, import_graph, module_files

LAYERS = ("nnc.grammar", "nnc.compiler", "nnc.runtime", "nnc")  # each may import those before it, and itself
THIRD_PARTY = {
    "nnc.grammar": {"lark"},
    "nnc.compiler": {"networkx", "numpy"},
    "nnc.runtime": {"numpy", "safetensors", "rich", "pyarrow", "matplotlib", "nvmath", "cupy", "cupy_backends", "cuda"},
    "nnc": {"numpy", "rich", "sklearn"},
}
PLAN_SIDE = {"plan", "planfile", "verify", "expr", "types", "options", "graph", "formulas", "ops", "codegen"}
RUNTIME_MAY_USE = {"compiler": PLAN_SIDE}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base"}
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 70

GRAPH = import_graph()
FILES = module_files()


def layer_of(module: str) -> str:
    return next(layer for layer in LAYERS if module == layer or module.startswith(f"{layer}."))


def product_imports(module: str) -> set[str]:
    return {target for target in GRAPH[module] if target == "nnc" or target.startswith("nnc.")}


def third_party(module: str) -> set[str]:
    roots = {target.partition(".")[0] for target in GRAPH[module]} - {"nnc"}
    return roots - set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", sorted(GRAPH))
def test_imports_only_point_back(module: str) -> None:
    allowed = LAYERS[: LAYERS.index(layer_of(module)) + 1]
    targets = product_imports(module) - {"nnc.specs"}  # data, no code
    forward = {target for target in targets if layer_of(target) not in allowed}
    assert not forward, f"{module} imports {sorted(forward)}"


@pytest.mark.parametrize("module", sorted(GRAPH))
def test_third_party_packages_stay_in_their_layer(module: str) -> None:
    assert third_party(module) <= THIRD_PARTY[layer_of(module)]


def test_no_module_imports_itself_through_others() -> None:
    """Tarjan's strongly connected components, of all imports, lazy ones too: each must be a single module."""
    assert not [component for component in components() if len(component) > 1]


def components() -> list[list[str]]:
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(product_imports(module)):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            cut = stack.index(module)
            found.append(stack[cut:])
            del stack[cut:]

    for module in sorted(GRAPH):
        if module not in index:
            visit(module)
    return found


def reachable(start: str) -> set[str]:
    """Every module that importing `start` can bring in, with the packages above each."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        module = todo.pop()
        if module in seen or module not in GRAPH:
            continue
        seen.add(module)
        todo += product_imports(module)
        todo.append(module.rpartition(".")[0])
    return seen


def test_a_runtime_needs_neither_parser_nor_graph_library() -> None:
    start = [module for module in GRAPH if module.startswith("nnc.runtime")]
    reached = set().union(*(reachable(module) for module in start))
    assert {"nnc.runtime.protocol", "nnc.compiler.plan"} <= reached
    guilty = {module for module in reached if third_party(module) & {"lark", "networkx"}}
    assert not guilty


def test_a_runtime_uses_only_the_plan_side_of_the_compiler() -> None:
    allowed = {f"nnc.compiler.{name}" for name in RUNTIME_MAY_USE["compiler"]}
    for module in GRAPH:
        if layer_of(module) == "nnc.runtime":
            used = {target for target in product_imports(module) if target.startswith("nnc.compiler.")}
            strange = {target for target in used if ".".join(target.split(".")[:3]) not in allowed}
            assert not strange, f"{module} imports {sorted(strange)}"


@pytest.mark.parametrize("module", sorted(FILES))
def test_module_is_named_for_its_subject_and_stays_short(module: str) -> None:
    path = FILES[module]
    assert path.stem not in FORBIDDEN_NAMES
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES, f"{path.relative_to(ROOT)} should be split"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{path.relative_to(ROOT)}: {node.name} has {length} lines"


@pytest.mark.parametrize("module", sorted(FILES))
def test_public_definitions_say_what_they_are(module: str) -> None:
    """Not asked of a function of one statement, nor of what `nnc/commands/__init__.py` explains for all commands."""
    tree = ast.parse(FILES[module].read_text("utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), f"{module} has no docstring"
    silent = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not node.name.startswith("_")
        and not (module.startswith("nnc.commands.") and node.name in {"add_arguments", "run"})
        and len(node.body) > 1
        and not ast.get_docstring(node)
    ]
    assert not silent, f"{module}: no docstring on {', '.join(silent)}"


def test_no_two_modules_of_the_tests_share_a_name() -> None:
    """Their folders are all on the path, so the second one would never be found."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert names == sorted(set(names))
