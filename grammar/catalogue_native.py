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
}
