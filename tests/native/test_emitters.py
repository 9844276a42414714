"""Everything that a plan can say has its C: what has none shows at import, and here if no header has the function."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from itertools import product

import pytest

from nnc.compiler.codegen.bodies import combined, identity, lane_suffix
from nnc.compiler.codegen.expressions import SUFFIX, VECTOR, ExpressionPrinter, Typed, converted
from nnc.compiler.codegen.module import _HEADERS
from nnc.compiler.expr import OPERATORS, PREDICATES, apply, var
from nnc.compiler.types import FLOAT_DTYPES, ITEM_SIZE
from nnc.compiler.verify_steps import OPERATORS_OF, REDUCERS, ROW_KINDS
from nnc.runtime.native.cache import compile_library
from nnc.runtime.native.toolchain import find_toolchain


@pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
def test_every_operator_reduction_and_conversion_is_in_the_headers() -> None:
    """Printed as for a plan and compiled: the compiler refuses functions that are declared nowhere."""
    lines = [f'#include "{header}"' for header in _HEADERS]
    lines += [f"{head};\n{head} {{ {body} }}" for head, body in every_word()]
    compile_library("\n".join(lines) + "\n", name="emitters")


def every_word() -> list[tuple[str, str]]:
    """A function for each operator, conversion and reduction of each dtype that a plan can have: its head and body."""
    lines: list[tuple[str, str]] = []
    for dtype, (operator, count) in product(ITEM_SIZE, OPERATORS.items()):
        if operator in OPERATORS_OF[dtype]:
            names = {name: Typed(name, dtype) for name in "xyz"[:count]}
            value = ExpressionPrinter(lambda name, kind, text: None).value(
                apply(operator, *map(var, names)), dtype, names
            )
            result = VECTOR["bool" if operator in PREDICATES else dtype]
            lines.append(_function(f"{operator}_of_{dtype}", result, VECTOR[dtype], names, value.text))
    for source, target in product(ITEM_SIZE, ITEM_SIZE):
        text = converted(Typed("x", source), target).text
        lines.append(_function(f"{target}_of_{source}", VECTOR[target], VECTOR[source], ["x"], text))
    for kind, dtype in product(ROW_KINDS, set(ITEM_SIZE) - {"bool"}):
        arguments = "x, LANES" if kind == "argmax" else "x"
        text = f"all_{lane_suffix(dtype)}({kind}_lanes_{lane_suffix(dtype)}({arguments}))"
        lines.append(_function(f"{kind}_of_lanes_of_{dtype}", VECTOR[dtype], VECTOR[dtype], ["x"], text))
    for operator, dtype in product(REDUCERS, FLOAT_DTYPES):
        total = combined(operator, f"all_{SUFFIX[dtype]}({identity(operator, dtype)})", "x", dtype)
        lines.append(_function(f"{operator}_of_{dtype}_begun", VECTOR[dtype], VECTOR[dtype], ["x"], total))
    return lines


def _function(name: str, result: str, operand: str, parameters: Iterable[str], text: str) -> tuple[str, str]:
    given = ", ".join(f"{operand} {parameter}" for parameter in parameters)
    return f"{result} test_{name}({given})", f"return {text};"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("import nnc.compiler.expr as m; m.OPERATORS['cbrt'] = 1", "an operator has no spelling in C"),
        ("import nnc.compiler.types as m; m.ITEM_SIZE['float16'] = 2", "a dtype has no type in C"),
        ("import nnc.compiler.verify_steps as m; m.KERNELS |= {'fold'}", "a kernel has no C"),
        ("import nnc.compiler.verify_steps as m; m.REDUCERS |= {'prod'}", "a reduction has no C"),
        ("import nnc.compiler.verify_steps as m; m.ROW_KINDS |= {'prod'}", "a reduction of rows has no C"),
    ],
)
def test_what_is_new_is_missed_at_import(change: str, said: str) -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}\n{change}\nimport nnc.compiler.codegen.module"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"AssertionError: {said}" in done.stderr
