"""Initial values of a plan's variables: a pure function of its seed and each variable's name, type and initializer.

A weight's numbers come from Philox4x32-10 under a counter of its own: (block, high half of the name's hash,
RESERVED_STEP, low half of the hash), with one word per element in row-major order: word k % 4 of block k // 4 for
element k. The hash is BLAKE2b of the name in UTF-8, 64 bits, little end first. No step of training has the number
RESERVED_STEP, so dropout never sees these numbers; and a weight's do not change when another layer or another optimizer
is chosen.

With u = (word + 1/2) / 2**32: uniform is low + (high - low) u; normal is mean + stddev * Q(u), where Q is the quantile
function of the standard normal; truncated normal is mean + stddev * Q(Q'(-2) + u (Q'(2) - Q'(-2))), where Q' is the
distribution function. Everything is computed in float64 and rounded once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nnc.compiler.formulas.initializers import draw
from nnc.compiler.graph import Variable
from nnc.compiler.ops.philox import philox4x32
from nnc.compiler.plan import Plan

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

RESERVED_STEP: Final = 0xFFFFFFFF
_CUT: Final = 2.0     # truncated normals end two standard deviations from the mean


def initial_values(plan: Plan) -> Iterator[tuple[str, Array]]:
    """Name and initial value of every variable, in the plan's order."""
    for variable, _ in plan.variables:
        yield variable.name, initial_value(variable, plan.seed)


def initial_value(variable: Variable, seed: int) -> Array:
    """The value that `variable` has before the first step."""
    shape = variable.type.concrete(1)
    distribution, numbers = draw(variable.initializer, shape)
    match distribution:
        case "constant":
            value = np.full(shape, numbers[0], np.float64)
        case "uniform":
            low, high = numbers
            value = low + (high - low) * _uniforms(shape, variable.name, seed)
        case "normal":
            mean, stddev = numbers
            value = mean + stddev * normal_quantile(_uniforms(shape, variable.name, seed))
        case "truncated_normal":
            mean, stddev = numbers
            tail = 0.5 * math.erfc(_CUT / math.sqrt(2))
            inside = tail + (1 - 2 * tail) * _uniforms(shape, variable.name, seed)
            value = mean + stddev * normal_quantile(inside)
        case "orthogonal":
            value = numbers[0] * _orthogonal(shape, variable.name, seed)
        case "identity":
            rows, columns = shape
            value = numbers[0] * np.eye(rows, columns)
        case _:
            raise AssertionError(distribution)
    return value.astype(variable.type.dtype)


def _uniforms(shape: tuple[int, ...], name: str, seed: int) -> Floats:
    """Numbers inside (0, 1), a different sequence for each name."""
    size = math.prod(shape)
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    block = np.arange((size + 3) // 4, dtype=np.uint64)
    counter = (block, digest >> 32, RESERVED_STEP, digest & 0xFFFFFFFF)
    lanes = philox4x32(counter, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    words = np.stack(lanes, axis=-1).reshape(-1)[:size].reshape(shape)
    return np.asarray((words.astype(np.float64) + 0.5) * 2.0**-32)


def _orthogonal(shape: tuple[int, ...], name: str, seed: int) -> Floats:
    """The orthogonal factor of a normal matrix, unique by the choice of its signs; as Keras, rows are shape[:-1]."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = normal_quantile(_uniforms((max(rows, columns), min(rows, columns)), name, seed))
    q, r = np.linalg.qr(normal)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.asarray((q.T if rows < columns else q).reshape(shape))


# M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988)
# 477-484, routine PPND16: numerators and denominators by rising powers. Its third range, p < 1e-11, cannot occur here.
_CENTRE: Final = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAILS: Final = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip


def normal_quantile(p: Floats) -> Floats:
    """x such that a standard normal is below x with probability p, for 1e-11 < p < 1 - 1e-11; relative error 1e-15."""
    q = p - 0.5
    centre = q * _rational(_CENTRE, np.maximum(0.180625 - q * q, 0))
    r = np.sqrt(-np.log(np.minimum(p, 1 - p))) - 1.6
    tail = np.copysign(_rational(_TAILS, np.maximum(r, 0)), q)
    return np.where(np.abs(q) <= 0.425, centre, tail)


def _rational(coefficients: tuple[Sequence[float], Sequence[float]], x: Floats) -> Floats:
    top, bottom = np.zeros_like(x), np.zeros_like(x)
    for coefficient in reversed(coefficients[0]):
        top = top * x + coefficient
    for coefficient in reversed(coefficients[1]):
        bottom = bottom * x + coefficient
    return np.asarray(top / bottom)
