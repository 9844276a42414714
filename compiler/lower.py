"""Lowering: a typed network of layers becomes programs of primitive ops.

Takes the network of the shapes stage; gives one graph per program over one set of variables. What a layer or a formula
means stands in its own record; here they are only put together.
"""

from __future__ import annotations

from collections.abc import Mapping

from .adaptation import lower_adaptation
from .builder import Builder
from .expanding import LEARNING_RATE_SCALE, STEP, Owned, Use, expand_layers, in_sequence, uses_of
from .graph import Graph, Programs, Variable
from .judging import Judgement, judge
from .network import Network


def lower(network: Network) -> Programs:
    """Expand `network` into its programs.

    Requires: every layer has a type.
    Ensures: "predict" gives `prediction.OUTPUT` for every output; "evaluate_step" and "train_step", which are there if
    some output has a loss, give "loss", each loss and regulariser by its term's name, and add to the accumulators;
    "adapt_step" is there if some layer learns statistics from the data. Only train_step draws random numbers and
    changes statistics. Nodes that nothing needs may be left for `simplify` to drop.
    """
    uses, owned = uses_of(network)
    scalars = (STEP, LEARNING_RATE_SCALE)
    variables = (*owned.variables.values(), *scalars)
    by_name = {variable.name: variable for variable in variables}
    graphs = [_predict(network, uses, by_name)]
    judgement = Judgement()
    if any(output.loss is not None for output in network.outputs):
        evaluate, judgement = _judged("evaluate_step", network, uses, by_name, owned)
        train, same = _judged("train_step", network, uses, by_name, owned)
        assert same == judgement, "the programs disagree about what is reported"
        graphs += [evaluate, train]
    adapting = lower_adaptation(by_name, uses)
    if adapting is not None:
        graphs.append(adapting.graph)
    sums = judgement.accumulators + (adapting.accumulators if adapting else ())
    adaptations = adapting.adaptations if adapting else ()
    return Programs(tuple(graphs), (*variables, *sums), judgement.terms, adaptations)


def _predict(network: Network, uses: tuple[Use, ...], by_name: Mapping[str, Variable]) -> Graph:
    builder = Builder("predict", by_name)
    forward = expand_layers(builder, uses, training=False)
    for output in network.outputs:
        builder.result(f"prediction.{output.name}", forward.values[output.layer])
    return builder.build()


def _judged(
    program: str,
    network: Network,
    uses: tuple[Use, ...],
    by_name: Mapping[str, Variable],
    owned: Owned,
) -> tuple[Graph, Judgement]:
    builder = Builder(program, by_name)
    forward = expand_layers(builder, uses, training=program == "train_step")
    builder.updates = in_sequence(builder)
    judgement = judge(builder, network, forward, owned)
    return builder.build(), judgement
