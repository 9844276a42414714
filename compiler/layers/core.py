"""Dense and Maxout: layers that multiply by a matrix of weights."""

from __future__ import annotations

from ..builder import Builder
from ..expr import var
from ..options import Choice
from ..types import BATCH, TensorType
from .activation import activate
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, Weight
from .reading import TRAINING, bool_of, choice_of, int_of, optional_choice, require_float, require_vector

_KERNEL_AND_BIAS = (
    Hyperparameter("use_bias", "bool", True, "whether a bias is added"),
    Hyperparameter("kernel_initializer", "initializer", Choice("glorot_uniform"), "first values of the kernel"),
    Hyperparameter("bias_initializer", "initializer", Choice("zeros"), "first values of the bias"),
    Hyperparameter("kernel_regularizer", "regularizer", None, "penalty on the kernel", optional=True),
    Hyperparameter("bias_regularizer", "regularizer", None, "penalty on the bias", optional=True),
    *TRAINING,
)


def _kernel_and_bias(arguments: Arguments, type: TensorType, columns: int) -> tuple[Weight, ...]:
    kernel = Weight(
        "kernel",
        TensorType(type.dtype, (type.shape[1], columns)),
        choice_of(arguments, "kernel_initializer"),
        regularizer=optional_choice(arguments, "kernel_regularizer"),
    )
    if not bool_of(arguments, "use_bias"):
        return (kernel,)
    bias = Weight(
        "bias",
        TensorType(type.dtype, (columns,)),
        choice_of(arguments, "bias_initializer"),
        regularizer=optional_choice(arguments, "bias_regularizer"),
    )
    return kernel, bias


def _affine(builder: Builder, arguments: Arguments, node: int, expansion: Expansion) -> int:
    """`x @ kernel + bias`."""
    product = builder.matmul(node, builder.variable(expansion.variables["kernel"]))
    if not bool_of(arguments, "use_bias"):
        return product
    return builder.map(var("x0") + var("x1"), product, builder.variable(expansion.variables["bias"]))


def _infer_matrix(name: str, arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    require_float(name, inputs[0])
    require_vector(name, inputs[0])
    return inputs[0].with_shape((BATCH, int_of(arguments, "units")))


def _expand_dense(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    value = _affine(builder, arguments, inputs[0], expansion)
    return activate(builder, optional_choice(arguments, "activation"), value, expansion)


def _expand_maxout(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    units, pieces = int_of(arguments, "units"), int_of(arguments, "pieces")
    value = builder.reshape(_affine(builder, arguments, inputs[0], expansion), (BATCH, units, pieces))
    return builder.reshape(builder.reduce("max", value, (2,)), (BATCH, units))


DENSE = LayerDef(
    name="Dense",
    doc="Every output is a weighted sum of all inputs: activation(x @ kernel + bias). Takes a vector per sample.",
    infer=lambda arguments, inputs: _infer_matrix("Dense", arguments, inputs),
    expand=_expand_dense,
    hyperparameters=(
        Hyperparameter("units", "int", doc="width of the result"),
        Hyperparameter("activation", "activation", None, "applied to the sum", optional=True),
        *_KERNEL_AND_BIAS,
    ),
    weights=lambda arguments, inputs: _kernel_and_bias(arguments, inputs[0], int_of(arguments, "units")),
)

MAXOUT = LayerDef(
    name="Maxout",
    doc="The largest of `pieces` affine functions per unit: a learned convex activation. Takes a vector per sample.",
    infer=lambda arguments, inputs: _infer_matrix("Maxout", arguments, inputs),
    expand=_expand_maxout,
    hyperparameters=(
        Hyperparameter("units", "int", doc="width of the result"),
        Hyperparameter("pieces", "int", 2, "affine functions per unit"),
        *_KERNEL_AND_BIAS,
    ),
    weights=lambda arguments, inputs: _kernel_and_bias(
        arguments, inputs[0], int_of(arguments, "units") * int_of(arguments, "pieces")
    ),
)

CORE = (DENSE, MAXOUT)
