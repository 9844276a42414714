"""Syntax tree -> network: names, params, blocks and shared layers resolved, every argument checked, defaults filled in.

Takes a module and the caller's options; gives a DAG of layers. Reports every independent fault of the file at once,
those of shapes included where the faulty parts leave enough of the network to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError
from nnc.grammar.source import Span

from .layers import LAYERS
from .network import Layer, Network
from .options import CompileOptions, DataConfig, OutputConfig, TrainConfig
from .reading.blocks import outer_names
from .reading.chains import Chains, duplicate
from .reading.constants import evaluate, text_of
from .reading.data_section import data_config
from .reading.monitors import monitor_span
from .reading.naming import Place
from .reading.params import check_given, param_value
from .reading.scope import (
    WORDS,
    BlockDefinition,
    Constant,
    Entity,
    Faulty,
    Scope,
    SharedLayer,
    Tensor,
    name_of,
    names_in,
    undefined,
    what,
)
from .reading.sections import output_config, train_config
from .report import Problems, did_you_mean, fault
from .shapes import shape_problems
from .types import BATCH, ITEM_SIZE, TensorType

if TYPE_CHECKING:
    import networkx as nx

MOST_ELEMENTS: Final = 2**31 - 1  # of one sample
_USAGE: Final = frozenset({"E0413", "E0414"})
_SIMILAR: Final = {"float": "float32", "double": "float64", "int": "int32", "long": "int64", "byte": "uint8"}


def build_network(
    module: syntax.Module, options: CompileOptions | None = None, diagnostics: tuple[Diagnostic, ...] = ()
) -> Network:
    """The network of a spec. `diagnostics` are those of the parser, if it recovered from errors.

    Raises: NncError with every fault found, E03 to E06 and, as far as can be told, E02.
    """
    resolver = _Resolver(module, options or CompileOptions(), diagnostics)
    network = resolver.run()
    problems = resolver.problems
    if not problems:
        return network
    problems.add(*shape_problems(network))
    found = problems.in_order()
    raise (UsageError if all(d.code in _USAGE for d in found) else NncError)(*found)


class _Resolver:
    """One pass over the statements of a file, in order."""

    def __init__(self, module: syntax.Module, options: CompileOptions, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.module, self.options = module, options
        self.problems = Problems()
        self.problems.add(*diagnostics)
        self.scope = Scope(broken=_broken_words(module) if diagnostics else frozenset())
        self.chains = Chains(self.problems)
        self.inputs: dict[str, Span] = {}
        self.outputs: dict[str, syntax.Output] = {}
        self.configs: list[OutputConfig] = []
        self.spans: dict[str, Span] = {}
        self.params: dict[str, Constant] = {}
        self.sections: dict[str, syntax.Section] = {}
        self.model: syntax.Model | None = None

    def run(self) -> Network:
        scope = self.scope
        for statement in self.module.statements:
            if not isinstance(statement, syntax.Version | syntax.Model | syntax.Section):
                scope.later.setdefault(name_of(statement).name, statement)
        for statement in self.module.statements:
            with self.problems.collecting():
                self._statement(statement)
        params = [s.name.name for s in self.module.statements if isinstance(s, syntax.Param)]
        self.problems.add(*check_given(params, self.options.params))
        train, data = self._sections()
        self._check_use()
        self._check_ends()
        model = self.model.name.name if self.model else Path(self.module.source.name).stem
        layers = self.chains.layers
        if self.problems:
            layers = _complete(layers)
            self.configs = [config for config in self.configs if config.layer in layers]
        return Network(
            model,
            self.module.source,
            _dag(layers),
            tuple(self.inputs),
            tuple(self.configs),
            train,
            data,
            tuple((name, constant.value) for name, constant in self.params.items()),
            tuple(self.spans.items()),
        )

    # --- statements -----------------------------------------------------------------------------------------------
    def _statement(self, statement: syntax.Statement) -> None:
        match statement:
            case syntax.Version():
                return
            case syntax.Model():
                if self.model is not None:
                    raise fault(
                        "E0302",
                        "the model is named twice",
                        statement.name.span,
                        "named again",
                        labels=[(self.model.name.span, "first named here")],
                    )
                self.model = statement
                return
            case syntax.Section(keyword=keyword):
                if keyword.name in self.sections:
                    raise fault(
                        "E0302",
                        f"section `{keyword.name}` is there twice",
                        keyword.span,
                        "again",
                        labels=[(self.sections[keyword.name].keyword.span, "first here")],
                    )
                self.sections[keyword.name] = statement
                return
            case syntax.Output(value=None):
                self._output(statement, self._existing(statement.name))
                return
        self._definition(statement)

    def _definition(self, statement: syntax.Statement) -> None:
        """A statement that gives a name a meaning; the name is known from here on, whatever is wrong with its value."""
        name = name_of(statement)
        scope = self.scope
        if name.name in scope.names:
            raise duplicate(name, scope.names[name.name].span)
        scope.defining = name
        entity: Entity | None = None
        try:
            _check_reserved(statement, name)
            entity = self._entity(statement, name)
        except NncError:
            scope.used.update(names_in(statement))  # what was meant to be used is not reported as unused too
            raise
        finally:
            scope.defining = None
            if scope.later.get(name.name) is statement:
                del scope.later[name.name]
            scope.names[name.name] = entity or Faulty(name.span)
            if isinstance(statement, syntax.Output):
                with self.problems.collecting():
                    self._output(statement, entity.layer if isinstance(entity, Tensor) else None)

    def _entity(self, statement: syntax.Statement, name: syntax.Name) -> Entity:
        match statement:
            case syntax.Param():
                value = param_value(statement, self.scope, self.options.params)
                self.params[name.name] = constant = Constant(value, name.span)
                return constant
            case syntax.Input():
                self.inputs[name.name] = statement.type.span
                type = _input_type(statement, self.scope)
                layer = Layer(name.name, "Input", (), (), name.name, statement.type.span, statement.doc, type)
                self.chains.layers[name.name] = layer
                return Tensor(name.name, name.span)
            case syntax.Binding(value=value, doc=doc):
                return Tensor(self.chains.tensor(value, self.scope, Place(name.name, doc=doc)), name.span)
            case syntax.Output(value=value, doc=doc):
                assert value is not None
                return Tensor(self.chains.tensor(value, self.scope, Place(name.name, doc=doc)), name.span)
            case syntax.Layer():
                self.chains.check_shared(statement, self.scope)
                return SharedLayer(statement, name.span)
            case syntax.Block():
                _check_parameters(statement)
                self.scope.used.update(outer_names(statement))
                return BlockDefinition(statement, name.span)
        raise AssertionError(statement)

    def _existing(self, name: syntax.Name) -> str | None:
        """The layer of a name that is made an output after its definition."""
        match self.scope.use(name.name):
            case Tensor(layer=layer):
                return layer
            case None:
                self.scope.later.pop(name.name, None)
                raise undefined(name, self.scope, "value", self.scope.candidates(Tensor))
            case entity:
                raise fault(
                    "E0309",
                    f"`{name.name}` is a {what(entity)}, and an output is a tensor",
                    name.span,
                    "expects a tensor",
                    labels=[(entity.span, "defined here")],
                )

    def _output(self, statement: syntax.Output, layer: str | None) -> None:
        name = statement.name
        if name.name in self.outputs:
            raise duplicate(name, self.outputs[name.name].name.span)
        self.outputs[name.name] = statement
        self.scope.used.add(name.name)
        config, spans = output_config(statement, layer or "", self.scope)
        self.spans |= spans
        if layer is not None:
            if config.loss is not None and config.sample_weight is None and name.name in self.options.sample_weights:
                config = replace(config, sample_weight=f"sample_weight.{name.name}")
            self.configs.append(config)

    def _sections(self) -> tuple[TrainConfig, DataConfig | None]:
        train = train_config(None, self.scope, self.options)
        with self.problems.collecting():
            train = train_config(self.sections.get("train"), self.scope, self.options)
        self.spans |= {keyword: section.keyword.span for keyword, section in self.sections.items()}
        for entry in self.sections["train"].entries if "train" in self.sections else ():
            self.spans[f"train.{entry.name.name}"] = entry.value.span if entry.value else entry.span
            if (span := monitor_span(entry.value)) is not None:
                self.spans[f"train.{entry.name.name}.monitor"] = span
        if "data" not in self.sections:
            return train, None
        wanted = dict(self.inputs)
        for config in self.configs:
            if config.loss is not None:
                wanted.setdefault(config.target or config.name, self.spans[config.name])
                if (key := f"{config.name}.sample_weight") in self.spans and config.sample_weight is not None:
                    wanted.setdefault(config.sample_weight, self.spans[key])
        for name, statement in self.outputs.items():
            if all(config.name != name for config in self.configs):
                target = next((e.value for e in statement.entries if e.name.name == "target"), None)
                wanted.setdefault(target.name if isinstance(target, syntax.Name) else name, statement.name.span)
        section = self.sections["data"]
        splits = [entry for entry in section.entries if entry.name.name == "split"]
        for entry in (inside for split in splits for inside in split.entries or ()):
            self.spans[f"data.split.{entry.name.name}"] = entry.value.span if entry.value else entry.span
        found = Problems()
        data = data_config(section, self.scope, wanted, found)
        # a broken statement may define what the section binds
        self.problems.add(*(d for d in found.in_order() if not self.scope.broken or d.code not in ("E0650", "E0651")))
        self.scope.used.update(names_in(section))
        return train, data

    # --- the file as a whole --------------------------------------------------------------------------------------
    def _check_use(self) -> None:
        scope = self.scope
        for name, entity in scope.names.items():
            if name in scope.used or name in scope.broken or name in self.outputs or isinstance(entity, Faulty):
                continue
            if isinstance(entity, Tensor) and not self.outputs:
                continue  # E0315 says it all
            is_input = name in self.inputs
            code = "E0305" if is_input else "E0306" if isinstance(entity, Tensor) else "E0307"
            word = "input" if is_input else "value" if isinstance(entity, Tensor) else what(entity)
            help = f"remove it, or make it an output: `output {name} {{ ... }}`" if word == "value" else "remove it"
            self.problems.add(
                *fault(code, f"{word} `{name}` is never used", entity.span, "not used", helps=[help]).diagnostics
            )

    def _check_ends(self) -> None:
        """A model has inputs and outputs; where both are missing, one report will do."""
        source = self.module.source
        place = self.model.name.span if self.model else Span(source, 0, len(source.text.split("\n", 1)[0]))
        if not self.inputs and "input" not in self.scope.broken and not self.problems:
            help = "add one: `input x: float32[10]`"
            self.problems.add(*fault("E0316", "this model has no input", place, helps=[help]).diagnostics)
        elif not self.outputs and "output" not in self.scope.broken:
            help = "add one: `output y = x -> Dense(1) { loss = mse }`"
            self.problems.add(*fault("E0315", "this model has no output", place, helps=[help]).diagnostics)


# --- pieces -------------------------------------------------------------------------------------------------------
def _check_reserved(statement: syntax.Statement, name: syntax.Name) -> None:
    if name.name in WORDS:
        raise fault("E0317", f"`{name.name}` is a value and cannot be a name", name.span, "reserved")
    if name.name in LAYERS and isinstance(statement, syntax.Layer | syntax.Block):
        raise fault(
            "E0317", f"`{name.name}` is the name of a layer already", name.span, "taken", helps=["choose another name"]
        )
    if name.name.startswith("val_") and isinstance(statement, syntax.Output | syntax.Binding | syntax.Layer):
        raise fault(
            "E0317", f"`{name.name}` begins with `val_`, as the figures of validation data do", name.span, "reserved",
            helps=["choose another name: figures are named after outputs and layers, as in `main.loss`"],
        )  # fmt: skip


def _check_parameters(block: syntax.Block) -> None:
    seen: dict[str, Span] = {}
    for parameter in block.parameters:
        if parameter.name.name in seen:
            raise duplicate(parameter.name, seen[parameter.name.name])
        seen[parameter.name.name] = parameter.name.span


def _input_type(statement: syntax.Input, scope: Scope) -> TensorType:
    """`uint8[28, 28]` -> uint8[batch, 28, 28]."""
    dtype, name = statement.type.name, statement.name.name
    if dtype.name not in ITEM_SIZE:
        helps = (
            (f"did you mean `{_SIMILAR[dtype.name]}`?",)
            if dtype.name in _SIMILAR
            else (did_you_mean(dtype.name, ITEM_SIZE))
        )
        raise fault(
            "E0210", f"there is no type `{dtype.name}`", dtype.span, f"expects {', '.join(ITEM_SIZE)}", helps=helps
        )
    if statement.type.dimensions is None:
        raise fault(
            "E0211",
            f"the type of input `{name}` has no shape",
            dtype.span,
            "expects a shape",
            helps=[f"`{dtype.name}[10]` is a vector of 10 per sample, `{dtype.name}[]` a single number"],
        )
    dims: list[int] = []
    size = 1
    for expression in statement.type.dimensions:
        if isinstance(expression, syntax.Name) and expression.name in (BATCH, "None", "none"):
            raise fault(
                "E0211",
                "the batch axis is never written",
                expression.span,
                "expects a size",
                helps=["leave it out: the type is that of one sample"],
            )
        dim = evaluate(expression, scope)
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise fault(
                "E0211",
                f"{text_of(dim)} is no size of an axis",
                expression.span,
                "expects a whole number of at least 1",
            )
        size *= dim
        dims.append(dim)
    if size > MOST_ELEMENTS:
        raise fault(
            "E0212",
            f"one sample of `{name}` has {size:,} elements",
            statement.type.span,
            f"expects at most {MOST_ELEMENTS:,}",
        )
    return TensorType(dtype.name, (BATCH, *dims))


def _complete(layers: dict[str, Layer]) -> dict[str, Layer]:
    """The layers all of whose inputs are there; in a faulty file some are not."""
    complete: dict[str, Layer] = {}
    for name, layer in layers.items():
        if all(source in complete for source in layer.inputs):
            complete[name] = layer
    return complete


def _dag(layers: dict[str, Layer]) -> nx.DiGraph[str]:
    """Inputs first, then every layer in the order of the file, which is one of dependence."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    inputs = [layer for layer in layers.values() if layer.kind == "Input"]
    rest = [layer for layer in layers.values() if layer.kind != "Input"]
    graph.add_nodes_from((layer.name, {"layer": layer}) for layer in (*inputs, *rest))
    for layer in rest:
        positions: dict[str, tuple[int, ...]] = {}
        for position, source in enumerate(layer.inputs):
            positions[source] = (*positions.get(source, ()), position)
        graph.add_edges_from((source, layer.name, {"positions": at}) for source, at in positions.items())
    return graph


def _broken_words(module: syntax.Module) -> frozenset[str]:
    """Words of the text that belongs to no parsed statement and no comment."""
    text = module.source.text
    spans: Iterable[Span] = [part.span for part in (*module.statements, *module.comments)]
    rest, position = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        rest.append(text[position : span.start])
        position = max(position, span.end)
    rest.append(text[position:])
    lines = [line for piece in rest for line in piece.splitlines() if not line.lstrip().startswith("##")]
    return frozenset(re.findall(r"\w+", "\n".join(lines)))
