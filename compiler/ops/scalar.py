"""What each scalar operator means, in plain NumPy: the oracle for runtimes and printed kernels.

`SCALAR` holds one function per operator, dtype preserving for float arrays. `evaluate` walks an expression.
Predicates give bool arrays; where a bool meets arithmetic it counts as 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..expr import Expr, walk

Array = npt.NDArray[Any]


def evaluate(expr: Expr, bindings: Mapping[str, Array], dtype: npt.DTypeLike) -> Array:
    """The value of `expr`, its variables bound to arrays that broadcast by NumPy's rules.

    Arrays are converted to `dtype` first; the result has it too, or is bool where the outermost operator is a
    predicate.
    """
    values: dict[Expr, Array] = {}
    with np.errstate(all="ignore"):
        for term in walk(expr):
            if term.op == "const":
                values[term] = np.asarray(term.value, dtype)
            elif term.op == "var":
                values[term] = np.asarray(bindings[str(term.value)]).astype(dtype, copy=False)
            else:
                values[term] = np.asarray(SCALAR[term.op](*_operands(term, values, dtype)))
    return values[expr]


def _operands(term: Expr, values: Mapping[Expr, Array], dtype: npt.DTypeLike) -> list[Array]:
    args = [values[a] for a in term.args]
    truths = {"and": 2, "or": 2, "not": 1, "where": 1}.get(term.op, 0)
    as_truth = [a.astype(bool, copy=False) for a in args[:truths]]
    return as_truth + [a.astype(dtype, copy=False) for a in args[truths:]]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow and with full relative precision in the lower tail."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def rsqrt(x: Array) -> Array:
    return np.asarray(1 / np.sqrt(x))


# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969): numerator and
# denominator by falling powers, for erf(x)/x in x^2 up to 0.46875, for erfc(x) exp(x^2) in x up to 4, and for
# (1/sqrt(pi) - x erfc(x) exp(x^2)) x^2 in 1/x^2 beyond.
ERF_SPLITS: Final = (0.46875, 4.0)
ERF_SMALL: Final = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
ERF_MIDDLE: Final = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
ERF_LARGE: Final = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip
INVERSE_SQRT_PI: Final = 0.56418958354775628695


def erf(x: Array) -> Array:
    """The error function, to about 1e-16 in float64.

    Source: W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969) 631-637.
    """
    x = np.asarray(x)
    small, middle, large = _erf_small(x), _erfc_middle(np.abs(x)), _erfc_large(np.abs(x))
    tail = np.copysign(1 - np.where(np.abs(x) <= ERF_SPLITS[1], middle, large), x)
    return np.where(np.isnan(x), x, np.where(np.abs(x) <= ERF_SPLITS[0], small, tail)).astype(x.dtype, copy=False)


def _rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    top, bottom = (np.zeros_like(x), np.zeros_like(x))
    for coefficient in coefficients[0]:
        top = top * x + coefficient
    for coefficient in coefficients[1]:
        bottom = bottom * x + coefficient
    return np.asarray(top / bottom)


def _erf_small(x: Array) -> Array:
    bounded = np.clip(x, -ERF_SPLITS[0], ERF_SPLITS[0])
    return np.asarray(bounded * _rational(ERF_SMALL, bounded * bounded))


def _erfc_middle(x: Array) -> Array:
    bounded = np.clip(x, *ERF_SPLITS)
    return np.asarray(_rational(ERF_MIDDLE, bounded) * np.exp(-bounded * bounded))


def _erfc_large(x: Array) -> Array:
    bounded = np.clip(x, ERF_SPLITS[1], 30)  # erfc(30) is 0 in any float we have
    inverse = 1 / (bounded * bounded)
    scaled = (INVERSE_SQRT_PI - inverse * _rational(ERF_LARGE, inverse)) / bounded
    return np.asarray(scaled * np.exp(-bounded * bounded))


SCALAR: Final[dict[str, Callable[..., Any]]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor,
    "sqrt": np.sqrt, "rsqrt": rsqrt, "square": np.square,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "sigmoid": sigmoid, "softplus": softplus, "erf": erf,
    "where": np.where,
}  # fmt: skip
