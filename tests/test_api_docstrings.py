"""Every public name of the Python API says what it is, and every argument and result has a type."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nnc
import nnc.sklearn
from nnc.compiler.pipeline import Compiled
from nnc.runtime.history import Epoch
from nnc.weights import Weights

# classes that calls give back though no public module lists them
GIVEN_BACK = {"Epoch": Epoch, "Weights": Weights}


def public_names() -> Iterator[tuple[str, Any]]:
    for module in (nnc, nnc.sklearn):
        assert isinstance(module, ModuleType)
        for name in module.__all__:
            if not name.startswith("_"):
                yield from members(f"{module.__name__}.{name}", getattr(module, name))
    for name, value in GIVEN_BACK.items():
        yield from members(name, value)


def members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A name, and what a class defines under public names, or inherits from another class of nnc's."""
    yield name, value
    if not inspect.isclass(value):
        return
    for attribute in dir(value):
        found = inspect.getattr_static(value, attribute)
        owner = next((base for base in value.__mro__ if attribute in vars(base)), object)
        if attribute.startswith("_") or not owner.__module__.startswith("nnc."):
            continue
        found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        if inspect.isfunction(found):
            yield f"{name}.{attribute}", found


PUBLIC = dict(public_names())


def test_the_walk_finds_what_there_is() -> None:
    assert set(PUBLIC) >= {
        "nnc.compile", "nnc.Model", "nnc.Model.fit", "nnc.Model.plan", "nnc.History.plot", "nnc.sklearn.NNClassifier",
        "nnc.sklearn.NNClassifier.predict_proba", "nnc.sklearn.NNRegressor.fit", "Weights.update", "nnc.NncError",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_it_says_what_it_is(name: str) -> None:
    text = inspect.getdoc(PUBLIC[name])
    assert text, f"{name} has no docstring"
    assert text[0].isupper() or text[0] in "`{0123456789" or text.startswith("float64")
    assert text.splitlines()[0].rstrip().endswith((".", ":", ";", ",")) or len(text.splitlines()) > 1


@pytest.mark.parametrize("name", sorted(name for name, value in PUBLIC.items() if inspect.isfunction(value)))
def test_its_arguments_and_its_result_have_types(name: str) -> None:
    function = PUBLIC[name]
    for argument in inspect.signature(function).parameters.values():
        assert argument.name in ("self", "cls") or argument.annotation is not argument.empty, argument.name
    names = {"Compiled": Compiled, "History": nnc.History}    # imported for type checkers alone
    hints = typing.get_type_hints(function, vars(inspect.getmodule(function)) | names)
    assert "return" in hints


def test_arguments_are_explained_where_there_are_many() -> None:
    """Each argument of the calls with many stands in the docstring by its name."""
    for name, value in PUBLIC.items():
        if inspect.isfunction(value) or name.startswith("nnc.sklearn.NN"):
            arguments = [a for a in inspect.signature(value).parameters if a not in ("self", "cls")]
            text = inspect.getdoc(value) or ""
            missing = [argument for argument in arguments if argument not in text] if len(arguments) > 3 else []
            assert not missing, f"{name} does not explain {', '.join(missing)}"


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(nnc.__file__).parent / "py.typed").exists()
