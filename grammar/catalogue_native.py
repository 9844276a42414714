"""Explanations of E093: the C compiler, and what it makes of a plan."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

NATIVE: Final[dict[str, Explanation]] = {
    "E0930": Explanation(
        "there is no C compiler that works",
        """
The native runtime prints a plan as C and has it compiled for this machine. It takes the compiler that the environment
variable CC names, and no other if that is set; else the first of cc, gcc and clang; else zig, from the extra `native`.
A compiler counts if it is gcc 9 or clang 12 at least and makes a library of a small program, so headers and linker must
be there too.

    sudo apt install gcc libc6-dev        # Debian, Ubuntu
    xcode-select --install                # macOS
    pip install 'nnc[native]'             # anywhere, without the right to install programs
""",
    ),
    "E0931": Explanation(
        "the C compiler refuses the program",
        """
nnc has written a plan as C, and the compiler makes no library of it. What it says stands in the error. The C file, its
headers and all that the compiler said are kept in a folder of the cache, and the command in the error compiles them
again. Causes that are none of nnc's: the disk is full, memory is short (ended by signal 9), the compiler is half
installed. Else please report it, with that folder.

    CC=clang nnc run digits     # another compiler may do in the meantime
""",
    ),
    "E0932": Explanation(
        "the C compiler does not come to an end",
        """
A program compiles in seconds. After two minutes nnc ends the compiler and whatever it has started. The usual causes are
a machine that is out of memory and swaps, a CC that waits for something (a licence, a network, a password), and a bug
of the compiler.

    CC=clang nnc run digits     # another compiler may do
""",
    ),
    "E0933": Explanation(
        "the processor has no bfloat16",
        """
A plan with `precision = bfloat16` is run natively with the instructions that multiply bfloat16 and sum in float32:
AVX512_BF16, and AMX where there is that too. Intel's server processors have them from Cooper Lake on, AMD's from Zen 4.
Without them rounding would cost time instead of saving it, so the native runtime refuses, and `auto` with it.

    nnc run digits --runtime reference     # rounds with NumPy: the same meaning, slowly
    train { precision = float32 }          # or leave the entry out
""",
    ),
}
