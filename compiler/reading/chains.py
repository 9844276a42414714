"""Expressions over tensors -> layers: chains of arrows, sums and products of tensors, stacked copies, blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from ..layers import LAYERS
from ..layers.definition import LayerDef, no_weights
from ..network import Layer
from ..options import Value
from ..report import Problems, counted, fault, known_fault
from .arguments import bind
from .blocks import block_scope
from .constants import DEEPEST, evaluate, text_of, too_deep
from .naming import OPERATORS, Namer, Place, is_constant, step_label
from .scope import BlockDefinition, Constant, Deferred, Faulty, Scope, SharedLayer, Tensor, names_in, undefined, what
from .steps import callable_entity, called, combine_help, layer_definition, registered, stacked_shared

T = TypeVar("T")

MOST_LAYERS: Final = 200_000
DEEPEST_BLOCK: Final = 32


class Chains:
    """Makes the layers of one network, in the order in which the file asks for them."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.layers: dict[str, Layer] = {}
        self._blocks: list[str] = []  # blocks being expanded, outermost first
        self._checked_blocks: set[str] = set()
        self._is_full = False

    # --- tensors --------------------------------------------------------------------------------------------------
    def tensor(self, expression: syntax.Expression, scope: Scope, place: Place) -> str:
        """The layer that makes the value of `expression`; the layers before it are added. Raises NncError."""
        return self._value(expression, scope, Namer.of(expression, scope, place), 0)

    def _value(self, expression: syntax.Expression, scope: Scope, namer: Namer, depth: int) -> str:
        if depth > DEEPEST:
            raise too_deep(expression.span)
        match expression:
            case syntax.Name():
                return self._named(expression, scope)
            case syntax.Arrow():
                return self._arrow(expression, scope, namer, depth)
            case syntax.Binary():
                return self._sum(expression, scope, namer, depth)
            case syntax.Unary():
                value = self._value(expression.operand, scope, namer, depth + 1)
                return self._rescaled(value, -1.0 if expression.operator == "-" else 1.0, 0.0, expression.span, namer)
            case syntax.Tuple():
                raise fault(
                    "E0309",
                    "a tuple of tensors is no single tensor",
                    expression.span,
                    "expects one tensor",
                    helps=["join them first: `-> Concatenate`"],
                )
            case syntax.Call(callee=callee):
                found = "a layer" if registered(callee.name) in LAYERS else "no tensor"
                raise fault(
                    "E0309",
                    f"`{callee.name}` is {found}, and a tensor is needed here",
                    expression.span,
                    "expects a tensor",
                    helps=[f"feed it: `x -> {callee.name}(...)`"],
                )
            case _:
                raise fault("E0309", "this is no tensor", expression.span, "expects a tensor")

    def _named(self, name: syntax.Name, scope: Scope) -> str:
        match scope.use(name.name):
            case Tensor(layer=layer):
                return layer
            case None if registered(name.name) in LAYERS and name.name not in scope.file.later:
                raise fault(
                    "E0309",
                    f"`{name.name}` is a layer, and a tensor is needed here",
                    name.span,
                    "expects a tensor",
                    helps=[f"feed it: `x -> {name.name}`"],
                )
            case None:
                raise undefined(name, scope, "tensor", scope.candidates(Tensor))
            case Deferred(expression=expression):
                raise fault(
                    "E0309",
                    f"`{name.name}` is used as a tensor, but given in parentheses",
                    expression.span,
                    "expects a tensor left of the arrow",
                    labels=[(name.span, "used as a tensor")],
                )
            case entity:
                raise fault(
                    "E0309",
                    f"`{name.name}` is a {what(entity)}, and a tensor is needed here",
                    name.span,
                    "expects a tensor",
                    labels=[(entity.span, "defined here")],
                )

    def _arrow(self, arrow: syntax.Arrow, scope: Scope, namer: Namer, depth: int) -> str:
        source, steps = arrow.source, iter(arrow.steps)
        try:
            if isinstance(source, syntax.Tuple):
                values = self._each(source.items, lambda item: self._value(item, scope, namer, depth + 1))
            else:
                values = (self._value(source, scope, namer, depth + 1),)
            for step in steps:
                values = (self._step(step, values, scope, namer),)
        except NncError:
            for step in steps:  # those after the faulty one
                with self.problems.collecting():
                    self._check_step(step, scope)
            raise
        return values[0]

    def _check_step(self, step: syntax.Expression, scope: Scope) -> None:
        """Reports what is wrong with a step whose input is at fault already."""
        callee, arguments, names = called(step.left if isinstance(step, syntax.Binary) else step, scope)
        if callable_entity(callee, names) is None:
            bind(callee.name, layer_definition(callee, names).hyperparameters, arguments, names, step.span)

    def _each(self, items: Iterable[syntax.Expression], value_of: Callable[[syntax.Expression], T]) -> tuple[T, ...]:
        """The values of independent expressions; all that is wrong with any of them is reported."""
        values, is_faulty = [], False
        for item in items:
            try:
                values.append(value_of(item))
            except NncError as error:
                self.problems.add(*error.diagnostics)
                is_faulty = True
        if is_faulty:
            raise known_fault()
        return tuple(values)

    # --- arithmetic between tensors -------------------------------------------------------------------------------
    def _sum(self, expression: syntax.Binary, scope: Scope, namer: Namer, depth: int) -> str:
        """`a + b - 2 * c`: from left to right, without recursion over a long sum."""
        chain: list[syntax.Binary] = []
        left: syntax.Expression = expression
        while isinstance(left, syntax.Binary) and not is_constant(left, scope):
            chain.append(left)
            left = left.left
        chain.reverse()
        operands = (left, *(binary.right for binary in chain))
        value, *others = self._each(operands, lambda operand: self._operand(operand, scope, namer, depth))
        for binary, other in zip(chain, others, strict=True):
            value = self._combined(binary, value, other, namer)
        if isinstance(value, float):
            raise fault("E0309", "a number is no tensor", expression.span, "expects a tensor")
        return value

    def _operand(self, expression: syntax.Expression, scope: Scope, namer: Namer, depth: int) -> str | float:
        """A tensor's layer, or a number."""
        if not is_constant(expression, scope):
            return self._value(expression, scope, namer, depth + 1)
        value = evaluate(expression, scope)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise fault(
                "E0309",
                f"{text_of(value)} is neither a tensor nor a number",
                expression.span,
                "expects a tensor or a number",
            )
        return float(value)

    def _combined(self, binary: syntax.Binary, left: str | float, right: str | float, namer: Namer) -> str:
        operator, span = binary.operator, binary.span
        match left, right, operator:
            case str(), str(), "+" | "-" | "*":
                kind = OPERATORS[operator]
                return self._add(LAYERS[kind], (), (left, right), namer.next(kind.lower()), span)
            case str(), float(), "+":
                return self._rescaled(left, 1.0, right, span, namer)
            case str(), float(), "-":
                return self._rescaled(left, 1.0, -right, span, namer)
            case (str(), float(), "*") | (float(), str(), "*"):
                tensor, number = (left, right) if isinstance(left, str) else (right, left)
                assert isinstance(tensor, str)
                assert isinstance(number, float)
                return self._rescaled(tensor, number, 0.0, span, namer)
            case str(), float(), "/":
                if right == 0:
                    raise fault("E0411", "division by zero", span)
                return self._rescaled(left, 1 / right, 0.0, span, namer)
            case float(), str(), "+":
                return self._rescaled(right, 1.0, left, span, namer)
            case float(), str(), "-":
                return self._rescaled(right, -1.0, left, span, namer)
        raise fault("E0309", f"`{operator}` does not work on tensors", span, "expects `+`, `-` or `*`")

    def _rescaled(self, value: str, scale: float, offset: float, span: Span, namer: Namer) -> str:
        arguments: tuple[tuple[str, Value], ...] = (("scale", scale), ("offset", offset))
        return self._add(LAYERS["Rescale"], arguments, (value,), namer.next("rescale"), span)

    # --- steps of a chain -----------------------------------------------------------------------------------------
    def _step(self, step: syntax.Expression, inputs: tuple[str, ...], scope: Scope, namer: Namer) -> str:
        if isinstance(step, syntax.Binary) and step.operator == "*":
            return self._stack(step, inputs, scope, namer)
        return self._apply(step, inputs, scope, namer.next(step_label(step)), is_stacked=False)

    def _stack(self, step: syntax.Binary, inputs: tuple[str, ...], scope: Scope, namer: Namer) -> str:
        """`Dense(64) * 3`: fresh copies, one after the other."""
        count = evaluate(step.right, scope)
        if isinstance(count, bool) or not isinstance(count, int):
            raise fault(
                "E0312", f"a stack cannot have {text_of(count)} copies", step.right.span, "expects a whole number"
            )
        if count < 1:
            raise fault("E0312", f"a stack cannot have {count} copies", step.right.span, "expects at least 1")
        place = namer.next(step_label(step))
        for number in range(1, count + 1):
            inputs = (self._apply(step.left, inputs, scope, place.inner(str(number)), is_stacked=True),)
        return inputs[0]

    def _apply(
        self, step: syntax.Expression, inputs: tuple[str, ...], scope: Scope, place: Place, *, is_stacked: bool
    ) -> str:
        """One layer, shared layer or block applied to `inputs`."""
        span = step.span
        callee, arguments, scope = called(step, scope)
        match callable_entity(callee, scope):
            case SharedLayer(definition=definition):
                if is_stacked:
                    raise stacked_shared(callee, definition)
                return self._apply_shared(callee, arguments, definition, inputs, scope, place, span)
            case BlockDefinition(definition=block):
                return self._apply_block(block, callee, arguments, inputs, scope, place, span)
            case Constant() | Deferred() | Tensor() as entity:
                raise fault(
                    "E0310",
                    f"`{callee.name}` is a {what(entity)}, and a layer is needed after an arrow",
                    callee.span,
                    "expects a layer",
                    labels=[(entity.span, "defined here")],
                    helps=combine_help(entity, callee),
                )
        known = layer_definition(callee, scope)
        bound = bind(callee.name, known.hyperparameters, arguments, scope, span)
        return self._add(known, bound, inputs, place, span)

    def _apply_shared(
        self,
        callee: syntax.Name,
        arguments: tuple[syntax.Argument, ...],
        definition: syntax.Layer,
        inputs: tuple[str, ...],
        scope: Scope,
        place: Place,
        span: Span,
    ) -> str:
        if arguments:
            raise fault(
                "E0403",
                f"`{callee.name}` has its arguments already",
                arguments[0].span,
                "one too many",
                labels=[(definition.value.span, "given here")],
            )
        use = replace(place, shared=(definition.name.name, place.path), taken=frozenset())
        inner, values, file = called(definition.value, scope.file)
        if isinstance(found := callable_entity(inner, file), BlockDefinition):
            return self._apply_block(found.definition, inner, values, inputs, file, use, span)
        registered = layer_definition(inner, file)
        bound = bind(inner.name, registered.hyperparameters, values, file, definition.value.span)
        return self._add(registered, bound, inputs, use, span)

    def _apply_block(
        self,
        block: syntax.Block,
        callee: syntax.Name,
        arguments: tuple[syntax.Argument, ...],
        inputs: tuple[str, ...],
        scope: Scope,
        place: Place,
        span: Span,
    ) -> str:
        name = block.name.name
        if name in self._blocks:
            path = " -> ".join(f"`{b}`" for b in (*self._blocks[self._blocks.index(name) :], name))
            raise fault("E0313", f"block `{name}` uses itself", callee.span, "expands without end", notes=[path])
        if len(self._blocks) >= DEEPEST_BLOCK:
            raise fault("E0314", f"blocks are nested more than {DEEPEST_BLOCK} deep", callee.span)
        inside = block_scope(block, arguments, inputs, scope, span)
        self._blocks.append(name)
        try:
            return self._body(block, inside, place)
        finally:
            self._blocks.pop()

    def _body(self, block: syntax.Block, scope: Scope, place: Place) -> str:
        taken = frozenset(binding.name.name for binding in block.body)
        for binding in block.body:
            name = binding.name
            if name.name in scope.names:
                self.problems.add(*duplicate(name, scope.names[name.name].span).diagnostics)
                continue
            layer = None
            with self.problems.collecting():
                layer = self.tensor(binding.value, scope, replace(place.inner(name.name), taken=frozenset()))
            if layer is None:
                scope.used.update(names_in(binding.value))
            scope.names[name.name] = Tensor(layer, name.span) if layer else Faulty(name.span)
        try:
            return self.tensor(block.result, scope, replace(place, taken=taken))
        except NncError:
            scope.used.update(names_in(block.result))
            raise
        finally:
            self._check_use(block, scope)

    def _check_use(self, block: syntax.Block, scope: Scope) -> None:
        if block.name.name in self._checked_blocks:
            return
        self._checked_blocks.add(block.name.name)
        for name, entity in scope.names.items():
            if name not in scope.used:
                parameter = next((p.name.span for p in block.parameters if p.name.name == name), None)
                code, kind, place = ("E0307", "parameter", parameter) if parameter else ("E0306", "value", entity.span)
                message = f"{kind} `{name}` of block `{block.name.name}` is never used"
                self.problems.add(*fault(code, message, place, "not used").diagnostics)

    def check_shared(self, statement: syntax.Layer, scope: Scope) -> None:
        """Reports what is wrong with `layer NAME = Dense(64)` where it stands."""
        value = statement.value
        if not isinstance(value, syntax.Name | syntax.Call):
            raise fault(
                "E0318",
                f"`layer {statement.name.name}` shares the weights of one layer or block",
                value.span,
                "expects a layer with its arguments",
                helps=["put several layers into a block"],
            )
        callee, arguments, _ = called(value, scope)
        match callable_entity(callee, scope):
            case None:
                bind(callee.name, layer_definition(callee, scope).hyperparameters, arguments, scope, value.span)
            case BlockDefinition():
                return
            case entity:
                raise fault(
                    "E0318",
                    f"`{callee.name}` is a {what(entity)}, not a layer or a block",
                    callee.span,
                    "expects a layer or a block",
                    labels=[(entity.span, "defined here")],
                )

    # --- layers ---------------------------------------------------------------------------------------------------
    def _add(
        self,
        definition: LayerDef,
        arguments: tuple[tuple[str, Value], ...],
        inputs: tuple[str, ...],
        place: Place,
        span: Span,
    ) -> str:
        """Append one layer under a name that is still free."""
        if len(inputs) < definition.min_inputs or (definition.max_inputs or len(inputs)) < len(inputs):
            raise _wrong_count(definition, len(inputs), span)
        if len(self.layers) >= MOST_LAYERS:
            if self._is_full:
                raise known_fault()
            self._is_full = True
            raise fault("E0314", f"the network has more than {MOST_LAYERS:,} layers", span)
        name, number = place.path, 1
        while name in self.layers:
            number += 1
            name = f"{place.path}_{number}"
        owner = name if definition.weights is no_weights else place.weights or name
        self.layers[name] = Layer(name, definition.name, arguments, inputs, owner, span, place.doc)
        return name


def _wrong_count(definition: LayerDef, count: int, span: Span) -> NncError:
    low, high = definition.min_inputs, definition.max_inputs
    wanted = counted(low, "tensor") if low == high else f"{low} tensors or more"
    arrive = "arrives" if count == 1 else "arrive"
    help = "join them first: `-> Concatenate`" if count > low else f"give a tuple: `(a, b) -> {definition.name}`"
    return fault(
        "E0311", f"`{definition.name}` takes {wanted}, but {count} {arrive}", span, f"expects {wanted}", helps=[help]
    )


def duplicate(name: syntax.Name, first: Span) -> NncError:
    """The fault of a name that is defined again."""
    return fault(
        "E0302", f"`{name.name}` is defined twice", name.span, "defined again", labels=[(first, "first defined here")]
    )
