"""Initial values: Keras's distributions, from Philox, the same for a name and a seed whatever else the network has."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from nnc.compiler.formulas.initializers import INITIALIZERS
from nnc.compiler.graph import Variable
from nnc.compiler.options import Choice
from nnc.compiler.types import TensorType
from nnc.runtime.initial import initial_value, normal_quantile
from nnc.runtime.protocol import Array

SHAPE = (300, 200)
RECORDED_UNIFORM = np.array(
    [0.9130877256393433, 0.5144568681716919, 0.9148825407028198, 0.32870903611183167, 0.7023635506629944], np.float32
)
RECORDED_NORMAL = [1.3600171, 0.036246, 1.3714492, -0.4434807, 0.5312106]


def value(
    name: str, *shape: int, variable: str = "hidden.kernel", seed: int = 7, dtype: str = "float32", **arguments: float
) -> Array:
    choice = Choice(name, tuple(arguments.items()))
    return initial_value(Variable(variable, TensorType(dtype, shape), "weight", choice), seed)


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_every_initializer_gives_the_variable_s_type(name: str) -> None:
    for dtype in ("float32", "float64"):
        made = value(name, *SHAPE, dtype=dtype)
        assert (made.shape, made.dtype) == (SHAPE, np.dtype(dtype))
        assert np.isfinite(made).all()


@pytest.mark.parametrize(
    ("name", "bound", "deviation"),
    [
        ("glorot_uniform", math.sqrt(6 / 500), math.sqrt(2 / 500)),
        ("he_uniform", math.sqrt(6 / 300), math.sqrt(2 / 300)),
        ("lecun_uniform", math.sqrt(3 / 300), math.sqrt(1 / 300)),
        ("random_uniform", 0.05, 0.05 / math.sqrt(3)),
        ("glorot_normal", 2 * math.sqrt(2 / 500) / 0.8796256610342398, math.sqrt(2 / 500)),
        ("he_normal", 2 * math.sqrt(2 / 300) / 0.8796256610342398, math.sqrt(2 / 300)),
        ("truncated_normal", 0.1, 0.05 * 0.8796256610342398),
    ],
)
def test_bounded_distributions_reach_their_bound_and_keep_to_it(name: str, bound: float, deviation: float) -> None:
    made = value(name, *SHAPE, dtype="float64")
    assert 0.99 * bound < np.abs(made).max() <= bound
    assert abs(made.mean()) < 4 * deviation / math.sqrt(made.size)
    assert made.std() == pytest.approx(deviation, rel=0.01)


def test_normals_have_the_moments_and_tails_of_a_normal() -> None:
    made = value("random_normal", 400, 500, dtype="float64", mean=3.0, stddev=2.0)
    standard = (made - 3) / 2
    assert abs(standard.mean()) < 0.01
    assert standard.std() == pytest.approx(1, rel=0.01)
    for limit in (1.0, 2.0, 3.0):
        share = np.mean(np.abs(standard) < limit)
        assert share == pytest.approx(math.erf(limit / math.sqrt(2)), abs=0.004)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (4, 5, 6)])
def test_orthogonal_matrices_are_orthogonal(shape: tuple[int, ...]) -> None:
    made = value("orthogonal", *shape, dtype="float64", gain=3.0).reshape(-1, shape[-1]) / 3
    product = made.T @ made if made.shape[0] >= made.shape[1] else made @ made.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_the_identity_and_constants() -> None:
    np.testing.assert_array_equal(value("identity", 3, 4, gain=2.0), 2 * np.eye(3, 4))
    np.testing.assert_array_equal(value("constant", 3, value=0.25), [0.25] * 3)
    assert value("zeros", dtype="float64").shape == ()


def test_values_depend_on_name_and_seed_alone() -> None:
    made = value("glorot_uniform", 5, 6)
    np.testing.assert_array_equal(made, value("glorot_uniform", 5, 6))
    assert not np.any(made == value("glorot_uniform", 5, 6, variable="hidden.1.kernel"))
    assert not np.any(made == value("glorot_uniform", 5, 6, seed=8))
    assert not np.any(made == value("glorot_uniform", 5, 6, seed=7 + 2**32))


def test_values_stay_the_same_from_version_to_version() -> None:
    """A published result is repeated from its spec and seed."""
    np.testing.assert_array_equal(value("random_uniform", 5, minval=0.0, maxval=1.0), RECORDED_UNIFORM)
    np.testing.assert_allclose(value("random_normal", 5, stddev=1.0), RECORDED_NORMAL, rtol=1e-6)


def test_the_quantile_function_agrees_with_the_standard_library() -> None:
    exact = NormalDist()
    points = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 2001), 2.0 ** -np.arange(1, 34), 1 - 2.0 ** -np.arange(2, 34)])
    wanted = np.array([exact.inv_cdf(point) for point in points])
    np.testing.assert_allclose(normal_quantile(points), wanted, rtol=1e-13, atol=1e-16)
