"""What the shared printers may print is there for warps too: each function of the processor's headers has its twin."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from emulated import COMPILER, HEADERS, SHIM, needs_compiler

from nnc.compiler.codegen.expressions import SUFFIX
from nnc.compiler.expr import OPERATORS

NATIVE = HEADERS.parent / "native"
NATIVE_HEADERS = ("vector", "vector_math", "quotients", "philox", "share", "rows")
WARP_HEADERS = ("warp", "warp_math", "philox", "share", "rows")


def defined(flags: Sequence[str], folder: Path, files: Sequence[str]) -> set[str]:
    """The functions that headers define."""
    text = "".join(f'#include "{file}"\n' for file in files)
    command = [COMPILER or "", "-E", "-P", f"-I{folder}", *flags, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return set(re.findall(r"(\w+)\s*\([^()]*\)\s*\{", done.stdout))


INFIX = {"add", "sub", "mul", "div"}  # printed as + - * /
OF_KINDS = (
    *(OPERATORS.keys() - INFIX), "select", "root", "quotient", "inverse_root", "quotient_by_root", "all", "load",
    "store", "stride", "store_stride", "put", "fill", "argmax", "argmax_lanes", "take_larger", "columns", "rows",
    *(f"{operator}_{what}" for operator in ("sum", "max", "min") for what in ("lanes", "rows", "all")),
    *(f"to_{to}_from" for to in SUFFIX.values()), *(f"scatter_add_{kind}" for kind in SUFFIX.values()),
)  # fmt: skip
OTHERS = {
    "and_mask", "or_mask", "not_mask", "lanes_below", "share_of", "lanes_of", "part_of", "alone", "within", "whole_of",
    "random_key_of", "fill_uniform", "fill_normal", "take_rows",
}  # fmt: skip
PRINTABLE = {f"{word}_{kind}" for word, kind in product(OF_KINDS, SUFFIX.values())} | OTHERS


@needs_compiler
def test_every_function_that_is_printed_is_there() -> None:
    native = PRINTABLE & defined(("-x", "c"), NATIVE, [f"{name}.h" for name in NATIVE_HEADERS])
    warp = defined(("-x", "c++", "-include", str(SHIM / "cuda.h")), HEADERS, [f"{name}.cuh" for name in WARP_HEADERS])
    assert len(native) > 180, len(native)
    assert not native - warp
