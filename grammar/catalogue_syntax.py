"""E01: syntax."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

SYNTAX: Final[dict[str, Explanation]] = {
    "E0101": Explanation(
        "something stands where it cannot",
        """
The line is clear up to the marked place; what stands there fits no rule of the language. The label says what could.

    y = x -> Dense(64 -> relu)           wrong: the bracket of `Dense` is still open
    y = x -> Dense(64) -> relu           right
""",
    ),
    "E0102": Explanation(
        "a bracket has no partner",
        """
Every `(`, `[` and `{` is closed by `)`, `]` and `}`, the last one opened first. Inside a bracket lines may end
anywhere, so a bracket that is never closed swallows what follows: look at the place where it was opened.

    y = x -> Dense(64, relu              wrong
    y = x -> Dense(64, relu)             right
""",
    ),
    "E0103": Explanation(
        "a string has no end",
        """
A string begins and ends with `"` on one line.

    table = csv("data/wine.csv)          wrong
    table = csv("data/wine.csv")         right
""",
    ),
    "E0104": Explanation(
        "a character that the language does not have",
        """
Most often it came from a word processor or from another language: “curly” or 'single' quotes, `×` for `*`, a `;` at the
end of a line, a dot in a name. Names are letters, digits and `_` of any script; text stands in straight double quotes.

    table = csv('wine.csv')              wrong
    table = csv("wine.csv")              right
    y = x -> keras.Dense(64)             wrong
    y = x -> Dense(64)                   right
""",
    ),
    "E0105": Explanation(
        "a number that is none",
        """
Numbers are written `28`, `1_000`, `0.5`, `1e-3` or `20%`, up to about 1.8e308. There are no hexadecimal numbers, and
multiplication needs its `*`.

    y = x -> Dense(2units)               wrong
    y = x -> Dense(2*units)              right
""",
    ),
    "E0106": Explanation(
        "a keyword names a value",
        """
A line that begins with `nn`, `model`, `param`, `input`, `output`, `layer`, `block`, `train` or `data` is a statement of
that kind. No value can have such a name: the reader could not tell the two apart.

    output = x -> Dense(10)              wrong
    output digit = x -> Dense(10)        right: an output with a name of its own
    y = x -> Dense(10)                   right: a value
""",
    ),
    "E0107": Explanation(
        "the language version is not known",
        """
`nn 1`, the first line of a file, says which version of the language it is written in. A file that needs a newer version
than this nnc reads is not looked at any further, since its lines may mean something else by then.

    nn 2                                 needs a newer nnc
    nn 1                                 right
""",
    ),
    "E0108": Explanation(
        "a comma is missing",
        """
Arguments, items, and entries on one line are parted by commas.

    y = x -> Dense(64 relu)              wrong
    y = x -> Dense(64, relu)             right
    train { epochs = 5 batch_size = 32 } wrong
    train { epochs = 5, batch_size = 32 } right; or each on a line of its own
""",
    ),
    "E0109": Explanation(
        "`=` and `:` are mixed up, or missing",
        """
`=` gives a value, `:` gives a type. In a mapping `:` stands between key and value.

    input image = uint8[28, 28]          wrong
    input image: uint8[28, 28]           right
    train { epochs: 5 }                  wrong
    train { epochs = 5 }                 right
    param units = 30                     wrong: a param has both
    param units: int = 30                right
""",
    ),
    "E0110": Explanation(
        "an operator of another language",
        """
Tensors flow along `->`, and values are given with a single `=`.

    y => x                               wrong
    y = x -> relu                        right
""",
    ),
    "E0111": Explanation(
        "an expression is nested too deeply",
        """
Brackets and operators may lie 100 levels deep; steps of a chain, arguments and items do not count, however many there
are. Give a part a name of its own, or use `Add`, which takes any number of tensors.

    y = a1 + a2 + ... + a200             wrong
    y = (a1, a2, ..., a200) -> Add       right
""",
    ),
    "E0112": Explanation(
        "a block is not bindings and a `return`",
        """
A block is a list of bindings and then, once, `return` and the value that the block gives. Shared layers
and inputs stand beside blocks, not in them.

    block dense2(x) {
      h = x -> Dense(64, relu)
    }                                    wrong: what does it give?

    block dense2(x) {
      h = x -> Dense(64, relu)
      return h -> Dense(64, relu)
    }                                    right
""",
    ),
    "E0113": Explanation(
        "the language version does not come first",
        """
`nn 1` says how to read all that follows, so it is the first statement of a file, and there is one at most. Comments may
stand above it.
""",
    ),
    "E0114": Explanation(
        "an unknown escape in a string",
        """
A backslash in a string begins one of `\\"`, `\\\\`, `\\n`, `\\t`, `\\r` and `\\uXXXX`.
Paths may use `/` on every system.

    table = csv("data\\wine.csv")         wrong
    table = csv("data/wine.csv")         right
""",
    ),
    "E0115": Explanation(
        "a line that is no statement",
        """
Every line begins with `NAME =` or with one of `nn`, `model`, `param`, `input`, `output`, `layer`, `block`, `train` and
`data`. Every value has a name that you choose; there is no "previous layer".

    x -> Dense(64, relu)                 wrong
    hidden = x -> Dense(64, relu)        right
""",
    ),
    "E0116": Explanation(
        "a line ends too early",
        """
A statement ends at the end of its line, unless a bracket is open or the next line begins with `->`.

    y = x ->
      Dense(64)                          wrong
    y = x
      -> Dense(64)                       right
""",
    ),
    "E0117": Explanation(
        "a section where none belongs",
        """
Only an `output` owns a section: its loss, metrics, weight and target. Other values and layers take arguments.

    y = x -> Dense(1) { loss = mse }     wrong
    output y = x -> Dense(1) { loss = mse }   right
""",
    ),
}
