"""Near misses are what the user meant, best first, and never nonsense."""

import pytest

from nnc.grammar.suggest import nearest

ACTIVATIONS = (
    *("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign"),
    *("sigmoid", "hard_sigmoid", "tanh", "softmax", "log_softmax"),
)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ReLU", ("relu",)),
        ("leakyrelu", ("leaky_relu",)),
        ("LeakyReLU", ("leaky_relu",)),
        ("softmaxx", ("softmax",)),
        ("sotfmax", ("softmax",)),
        ("sigmod", ("sigmoid",)),
        ("soft", ("softplus", "softsign", "softmax")),
        ("swish", ()),
        ("x", ()),
        ("", ()),
        ("_", ()),
        ("mean_squared_error", ()),
    ],
)
def test_activations(word: str, meant: tuple[str, ...]) -> None:
    assert nearest(word, ACTIVATIONS) == meant


def test_initials_both_ways() -> None:
    assert nearest("lr", ["rho", "learning_rate"]) == ("learning_rate",)
    assert nearest("mean_squared_error", ["mae", "mse"]) == ("mse",)


def test_beginnings() -> None:
    assert nearest("batch", ["epochs", "batch_size"]) == ("batch_size",)
    assert nearest("training", ["data", "train"]) == ("train",)


def test_never_the_word_itself_nor_one_candidate_twice() -> None:
    assert nearest("relu", ["relu", "relu", "elu", "elu"]) == ("elu",)


def test_limit_and_order() -> None:
    found = nearest("hidden", ["hidden_3", "hidden_2", "hiden", "hidden_1", "other"], limit=2)
    assert found == ("hidden_3", "hidden_2")


def test_any_script() -> None:
    assert nearest("은닉층", ["은닉측", "출력"]) == ("은닉측",)
