"""nnc compiles a declarative model spec (`.nn`) into a static execution plan and runs it."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "grammar" / "nn.lark").is_file():  # an uninstalled or editable checkout: grammar/ is nnc.grammar
    __path__.append(str(_checkout))
