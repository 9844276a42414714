"""Reads which module imports which, from the text alone.

Counted: every import statement, also one inside a function, since a lazy import is a dependency too. Not counted: what
stands under `if TYPE_CHECKING:`, which no running program follows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# folder -> package
PACKAGES = {"grammar": "nnc.grammar", "compiler": "nnc.compiler", "runtime": "nnc.runtime", "nnc": "nnc"}


def module_files() -> dict[str, Path]:
    """Every module of the product: dotted name -> file; a package stands for its `__init__`."""
    found: dict[str, Path] = {}
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Dotted names that a module imports: its own product's modules in full, others as written."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    statements = _statements(ast.parse(path.read_text("utf-8")))
    return {_module(target, known) for statement in statements for target in _targets(statement, package)}


def _module(target: str, known: dict[str, Path]) -> str:
    """`nnc.compiler.types.BATCH` is something in the module `nnc.compiler.types`."""
    while target.startswith("nnc.") and target not in known:
        target = target.rpartition(".")[0]
    return target


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
    module = ".".join(part for part in (base, node.module or "") if part)
    yield from (f"{module}.{alias.name}" for alias in node.names)


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _statements(other)
        else:
            yield from _statements(child)


def import_graph() -> dict[str, set[str]]:
    """Module -> what it imports, for the whole product."""
    files = module_files()
    return {name: imports_of(name, path, files) - {name} for name, path in files.items()}
