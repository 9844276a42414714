"""nnc compiles a declarative model spec (`.nn`) into a static execution plan and runs it.

`nnc.compile(spec) -> Model`, `nnc.load(path) -> Model`; every fault of the user's is an `NncError`. `nnc.sklearn` has
scikit-learn estimators. The names are imported when they are first used: `import nnc` alone costs next to nothing.
"""

import os

__version__ = "0.1.0"

_checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_checkout, "grammar", "nn.lark")):  # a checkout, not installed: grammar/ is nnc.grammar
    __path__.append(_checkout)

_HOMES = {
    "compile": "nnc.making",
    "load": "nnc.making",
    "Model": "nnc.model",
    "History": "nnc.runtime.history",
    "NncError": "nnc.grammar.diagnostics",
}
__all__ = ["History", "Model", "NncError", "__version__", "compile", "load"]

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from nnc.grammar.diagnostics import NncError
    from nnc.making import compile, load
    from nnc.model import Model
    from nnc.runtime.history import History


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module `nnc` has no attribute `{name}`")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
