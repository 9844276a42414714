"""OneHot and Embedding: integers that name classes, as vectors."""

from __future__ import annotations

from ..builder import Builder
from ..expr import equal, var, where
from ..options import Choice
from ..types import TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, Weight
from .reading import TRAINING, choice_of, int_of, optional_choice, require_integers


def _infer_one_hot(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    require_integers("OneHot", inputs[0])
    return TensorType("float32", (*inputs[0].shape, int_of(arguments, "depth")))


def _expand_one_hot(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    column = builder.reshape(inputs[0], (*builder.type(inputs[0]).shape, 1))
    classes = builder.iota(int_of(arguments, "depth"))
    formula = where(equal(var("x0"), var("x1")), 1.0, 0.0)
    return builder.map(formula, column, classes, dtype="float32", compute="float32")


def _infer_embedding(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    require_integers("Embedding", inputs[0])
    return TensorType("float32", (*inputs[0].shape, int_of(arguments, "output_dim")))


def _embedding_weights(arguments: Arguments, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
    shape = (int_of(arguments, "input_dim"), int_of(arguments, "output_dim"))
    regularizer = optional_choice(arguments, "embeddings_regularizer")
    initializer = choice_of(arguments, "embeddings_initializer")
    return (Weight("embeddings", TensorType("float32", shape), initializer, regularizer=regularizer),)


def _expand_embedding(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    return builder.gather(builder.variable(expansion.variables["embeddings"]), inputs[0])


EMBEDDING = (
    LayerDef(
        name="OneHot",
        doc="An integer k from 0 to depth - 1 as a vector that is 1 at k and 0 elsewhere; adds a last axis.",
        infer=_infer_one_hot,
        expand=_expand_one_hot,
        counts_below="depth",
        hyperparameters=(Hyperparameter("depth", "int", doc="how many classes there are", alias="num_tokens"),),
    ),
    LayerDef(
        name="Embedding",
        doc="An integer k from 0 to input_dim - 1 as row k of a learned table; adds a last axis.",
        infer=_infer_embedding,
        expand=_expand_embedding,
        counts_below="input_dim",
        hyperparameters=(
            Hyperparameter("input_dim", "int", doc="how many integers there are: rows of the table"),
            Hyperparameter("output_dim", "int", doc="width of each row"),
            Hyperparameter("embeddings_initializer", "initializer", Choice("random_uniform"), "first values"),
            Hyperparameter("embeddings_regularizer", "regularizer", None, "penalty on the table", optional=True),
            *TRAINING,
        ),
        weights=_embedding_weights,
    ),
)
