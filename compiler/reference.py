"""The reference semantics: a sequential interpreter of the IR, slow and obvious, the oracle of the rest.

It runs flows as they stand before or after any pass, one operation after the other, and records what happened
outside. It knows no parallelism, no time and no budgets. The outside world is handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from attrs import define, field, frozen
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, Region, SSAValue

from flowc.compiler.lower.types import runtime_type
from flowc.dialects.agent import calls as agent
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.array.kernel import KernelOp, LaunchOp
from flowc.dialects.array.ops import ArrayOperation
from flowc.dialects.array.reference import evaluate as evaluate_array
from flowc.dialects.flow import compute, control
from flowc.dialects.flow.attributes import EffectsAttr, JsonAttr
from flowc.dialects.flow.declarations import CallOp, EnumDeclOp, FuncOp, RecordDeclOp, ReturnOp
from flowc.dialects.flow.effects import declared
from flowc.dialects.flow.speculation import SpeculateOp
from flowc.runtime.coerce import Coercer, Tables, coercer
from flowc.runtime.functions import FUNCTIONS
from flowc.runtime.scheduler.sleeping import LONGEST
from flowc.runtime.values import RecordValue, as_text, canonical, from_constant, record_class


class World(Protocol):
    """What answers for tools, models and people. Whatever it raises fails the call."""

    def tool(self, name: str, arguments: Mapping[str, object]) -> object:
        """The result of a tool."""

    def generate(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """The answer of a model."""

    def ask(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """The answer of a person."""

    def embed(self, texts: Sequence[str]) -> object:
        """The embeddings of texts, an array with a row each."""

    def execute(self, plan: object, tools: Sequence[str]) -> list[object]:
        """The results of the steps of a plan."""


@frozen
class Event:
    """A call of the outside world: what was called, with which arguments, and its declared effects."""

    kind: str
    name: str
    arguments: str
    effects: tuple[tuple[str, str | None], ...]


@frozen
class Outcome:
    """How a flow ended: its value, or why it failed, and the calls it made in order."""

    value: object
    failure: str | None
    trace: tuple[Event, ...]


class Failure(Exception):
    """Ends a flow, or the attempt around it; its text is the reason."""


class NotUndone(Exception):
    """Ends a flow, whatever is around it: a transaction could not take back all that it wrote."""


def evaluate(module: ModuleOp, flow: str, arguments: Mapping[str, object], world: World) -> Outcome:
    """Runs a flow of the module.

    Arguments are values of a run by parameter name; defaults fill in what is missing.
    """
    machine = _Machine.of(module, world)
    function = machine.functions[flow]
    try:
        value = machine.call(function, machine.bound(function, arguments))
    except (Failure, NotUndone) as failure:
        return Outcome(None, str(failure), tuple(machine.trace))
    return Outcome(value, None, tuple(machine.trace))


Values = dict[SSAValue, object]
Written = tuple[Operation, Sequence[object], object]
"""A call that writes, with its arguments and its result."""


@define
class _Machine:
    world: World
    functions: Mapping[str, FuncOp]
    kernels: Mapping[str, KernelOp]
    declarations: Mapping[str, DeclarationOp]
    tables: Tables
    fields: Mapping[str, tuple[str, ...]]
    trace: list[Event] = field(factory=list)
    coercers: dict[SSAValue, Coercer] = field(factory=dict)
    written: list[Written] | None = None

    @staticmethod
    def of(module: ModuleOp, world: World) -> "_Machine":
        """The machine for a module."""
        ops = list(module.ops)
        records = {
            op.sym_name.data: tuple(
                (name.data, runtime_type(type_)) for name, type_ in zip(op.fields, op.types, strict=True)
            )
            for op in ops
            if isinstance(op, RecordDeclOp)
        }
        enums = {
            op.sym_name.data: tuple(m.data for m in op.members) for op in ops if isinstance(op, EnumDeclOp)
        }
        return _Machine(
            world,
            {op.sym_name.data: op for op in ops if isinstance(op, FuncOp)},
            {op.sym_name.data: op for op in ops if isinstance(op, KernelOp)},
            {op.sym_name.data: op for op in ops if isinstance(op, DeclarationOp)},
            Tables(records, enums),
            {name: tuple(name for name, _ in members) for name, members in records.items()},
        )

    def bound(self, function: FuncOp, arguments: Mapping[str, object]) -> list[object]:
        """The arguments in order, as values of their types."""
        values = []
        for parameter, place in zip(function.parameters, function.body.block.args, strict=True):
            name = parameter.parameter.data
            if name in arguments:
                given = arguments[name]
            elif isinstance(parameter.default, JsonAttr):
                given = from_constant(parameter.default.value)
            else:
                raise Failure(f"the argument `{name}` is missing")
            values.append(self.coerced(place, given))
        return values

    def coerced(self, place: SSAValue, value: object) -> object:
        """A value from outside as one of the type of `place`."""
        convert = self.coercers.get(place)
        if convert is None:
            convert = self.coercers[place] = coercer(runtime_type(place.type), self.tables)
        try:
            return convert(value)
        except ValueError as error:
            raise Failure(f"the value does not fit: {error}") from error

    def call(self, function: FuncOp, arguments: Sequence[object]) -> object:
        """The value of a flow."""
        values: Values = dict(zip(function.body.block.args, arguments, strict=True))
        attempts = 1 + int(dict(function.limits.data).get("retries", 0)) if function.limits is not None else 1
        return self.retried(attempts, lambda: self.region(function.body, values))[0]

    def retried(self, attempts: int, run: Callable[[], list[object]]) -> list[object]:
        """The first success of at most so many attempts."""
        for left in reversed(range(attempts)):
            try:
                return run()
            except Failure:
                if not left:
                    raise
        raise Failure("no attempt was made")

    def region(self, region: Region, values: Values) -> list[object]:
        """Runs a region; gives the values it ends with."""
        for op in region.block.ops:
            if isinstance(op, control.YieldOp | ReturnOp):
                return [values[value] for value in op.operands]
            results = self.step(op, values)
            values.update(zip(op.results, results, strict=True))
        raise Failure("a region has no end")

    def step(self, op: Operation, values: Values) -> Sequence[object]:
        """The results of one operation."""
        inputs = [values[value] for value in op.operands]
        if isinstance(op, ArrayOperation | LaunchOp):
            return self.array(op, inputs)
        if op.regions:
            return self.structured(op, inputs, values)
        if isinstance(op, SpeculateOp):
            return [None]  # what starts early runs where it stands: one thing after the other
        if isinstance(op, CallOp):
            return [self.call(self.functions[op.callee.root_reference.data], inputs)]
        if "effects" in op.properties:
            result = self.coerced(op.results[0], self.outside(op, inputs))
            if self.written is not None:
                self.written.append((op, inputs, result))
            return [result]
        return [self.pure(op, inputs)]

    def array(self, op: Operation, inputs: Sequence[object]) -> Sequence[object]:
        """An array operator, or a kernel; results of rank 0 are scalars."""
        try:
            results = evaluate_array(op, inputs, kernels=self.kernels)
        except Exception as error:  # NumPy's failures are many, and each is a failure of the program
            raise Failure(f"{op.name}: {error}") from error
        return [result[()] if result.ndim == 0 else result for result in results]

    def pure(self, op: Operation, inputs: list[object]) -> object:
        """An operator without effect."""
        match op:
            case compute.ConstantOp():
                return from_constant(op.value.value)
            case compute.AbsentOp():
                return None
            case compute.ApplyOp():
                return self.applied(op.function.data, inputs)
            case compute.SelectOp():
                return inputs[1] if inputs[0] else inputs[2]
            case compute.ListOp():
                return inputs
            case compute.DictOp():
                return dict(zip(map(str, inputs[::2]), inputs[1::2], strict=True))
            case compute.TupleOp():
                return tuple(inputs)
            case compute.ItemOp():
                return self.item(inputs[0], op.index.value.data)
            case compute.RecordOp():
                name = op.result.type.record.data
                return record_class(name, self.fields[name])(*inputs)
            case compute.FieldOp():
                return self.field(inputs[0], op.field.data)
            case compute.CastOp():
                return self.coerced(op.result, _narrowed(inputs[0]))
            case agent.PromptOp():
                filled = iter(inputs)
                return "".join(part if isinstance(part, str) else as_text(next(filled)) for part in op.parts)
        if isinstance(op, compute.Relabelling):
            return inputs[0]
        raise Failure(f"{op.name} has no meaning here")

    def applied(self, name: str, inputs: Sequence[object]) -> object:
        """A function of the runtime."""
        try:
            return FUNCTIONS[name](*inputs)
        except Exception as error:  # whatever a function raises fails the run
            raise Failure(f"{name}: {type(error).__name__}") from error

    def item(self, source: object, index: int) -> object:
        """An item of a tuple; what is absent has none, and asking for one fails as in the runtime."""
        if isinstance(source, tuple | list) and index < len(source):
            return source[index]
        raise Failure(f"there is no item {index}")

    def field(self, source: object, name: str) -> object:
        """A field of a record or of a JSON value."""
        if isinstance(source, RecordValue):
            return getattr(source, name)
        if isinstance(source, Mapping) and name in source:
            return source[name]
        raise Failure(f"there is no field {name}")

    def outside(self, op: Operation, inputs: list[object]) -> object:
        """A call of the world, recorded."""
        match op:
            case agent.ToolCallOp():
                name = op.callee.root_reference.data
                self.record(op, "tool", name, inputs)
                return self.asked(lambda: self.world.tool(name, self.named(name, inputs)))
            case agent.GenerateOp() | agent.AskOp():
                name, prompt = op.callee.root_reference.data, str(inputs[0])
                ask = self.world.generate if isinstance(op, agent.GenerateOp) else self.world.ask
                self.record(op, "generate" if isinstance(op, agent.GenerateOp) else "human", name, inputs)
                answer = self.asked(lambda: ask(name, prompt, self.named(name, inputs[1:])))
                return _without(answer, self.declarations[name].pruned)
            case agent.EmbedOp():
                texts = inputs[0]
                self.record(op, "embed", "embed", inputs)
                return self.asked(lambda: self.world.embed(texts if isinstance(texts, list) else []))
            case agent.ExecuteOp():
                tools = [tool.data for tool in agent.tools_of(op)]
                self.record(op, "execute", "execute", inputs)
                return self.asked(lambda: self.world.execute(inputs[0], tools))
            case agent.SleepOp():
                self.record(op, "sleep", "sleep", inputs)
                if not (isinstance(inputs[0], float) and 0 <= inputs[0] <= LONGEST):
                    raise Failure("nobody can sleep for that long")
                return None
        raise Failure(f"{op.name} has no meaning here")

    def named(self, name: str, inputs: Sequence[object]) -> dict[str, object]:
        """Arguments by the names of their parameters."""
        parameters = self.declarations[name].parameters
        return {each.parameter.data: value for each, value in zip(parameters, inputs, strict=True)}

    def record(self, op: Operation, kind: str, name: str, inputs: Sequence[object]) -> None:
        """Adds a call to the trace."""
        attribute = op.properties["effects"]
        items = attribute.data if isinstance(attribute, EffectsAttr) else ()
        effects = tuple((item.kind, item.resource) for item in items)
        self.trace.append(Event(kind, name, canonical(list(inputs)), effects))

    def asked(self, call: Callable[[], object]) -> object:
        """The world's answer; whatever it raises fails the call."""
        try:
            return call()
        except Exception as error:
            raise Failure(f"the world failed: {error}") from error

    def structured(self, op: Operation, inputs: list[object], values: Values) -> Sequence[object]:
        """An operation with regions."""
        match op:
            case control.IfOp():
                return self.region(op.then_region if inputs[0] else op.else_region, values)
            case control.ElementwiseOp():
                return [self.mapped(op, inputs, values)]
            case control.ForOp():
                return self.looped(op, inputs, values)
            case control.WhileOp():
                return self.repeated(op, inputs, values)
            case control.RaceOp():
                return self.raced(op, values)
            case control.VoteOp():
                return [self.voted(op, values)]
            case control.AttemptOp():
                try:
                    return self.region(op.body, values)
                except Failure:
                    return self.region(op.otherwise, values)
            case control.LimitOp():
                attempts = 1 + int(dict(op.limits.data).get("retries", 0))
                return self.retried(attempts, lambda: self.region(op.body, values))
            case control.TransactionOp():
                return self.transacted(op, values)
        raise Failure(f"{op.name} has no meaning here")

    def transacted(self, op: control.TransactionOp, values: Values) -> Sequence[object]:
        """The region's values; where it fails, its writes are taken back, the latest first."""
        outer, self.written = self.written, []
        try:
            results = self.region(op.body, values)
        except Failure:
            done, self.written = self.written, None
            left = [name for write in reversed(done) for name in self.undone(*write)]
            if left:
                raise NotUndone(f"the transaction could not be undone wholly: {', '.join(left)}") from None
            raise
        else:
            if outer is not None:
                outer += self.written
        finally:
            self.written = outer
        return results

    def undone(self, op: Operation, inputs: Sequence[object], result: object) -> list[str]:
        """Takes back a write; gives the names of the undos that failed."""
        if not isinstance(op, agent.ToolCallOp):
            return []
        left = []
        for name in dict.fromkeys(item.undo for item in declared(op) if item.undo is not None):
            given = self.named(op.callee.root_reference.data, inputs) | {"result": result}
            undo = self.declarations[name]
            arguments = {
                each.parameter.data: given[each.parameter.data]
                for each in undo.parameters
                if each.parameter.data in given
            }
            items = tuple((item.kind, item.resource) for item in undo.effects.data)
            self.trace.append(Event("undo", name, canonical(list(arguments.values())), items))
            try:
                self.asked(partial(self.world.tool, name, arguments))
            except Failure:
                left.append(name)
        return left

    def mapped(self, op: control.ElementwiseOp, inputs: list[object], values: Values) -> list[object]:
        """The values of a map's body, in order."""
        lists = [value for value in inputs if isinstance(value, list)]
        if len({len(each) for each in lists}) > 1:
            raise Failure("lists of a map differ in length")
        results: list[object] = []
        for elements in zip(*lists, strict=True):
            values.update(zip(op.body.block.args, elements, strict=True))
            *keep, value = self.region(op.body, values)
            if all(keep):
                results.append(value)
        return results

    def looped(self, op: control.ForOp, inputs: list[object], values: Values) -> Sequence[object]:
        """The carried values after the last round of a `for`."""
        elements, carried = inputs[0], inputs[1:]
        for element in elements if isinstance(elements, list) else []:
            values.update(zip(op.body.block.args, (element, *carried), strict=True))
            stop, *carried = self.region(op.body, values)
            if stop:
                break
        return carried

    def repeated(self, op: control.WhileOp, inputs: list[object], values: Values) -> Sequence[object]:
        """The carried values after the last round of a `while`."""
        bound, carried = inputs[0], inputs[1:]
        for _ in range(bound if isinstance(bound, int) else 0):
            values.update(zip(op.test.block.args, carried, strict=True))
            if not self.region(op.test, values)[0]:
                break
            values.update(zip(op.body.block.args, carried, strict=True))
            stop, *carried = self.region(op.body, values)
            if stop:
                break
        return carried

    def raced(self, op: control.RaceOp, values: Values) -> Sequence[object]:
        """The first arm that succeeds."""
        for arm in op.arms[:-1]:
            try:
                return self.region(arm, values)
            except Failure:
                continue
        return self.region(op.arms[-1], values)

    def voted(self, op: control.VoteOp, values: Values) -> object:
        """The answer of most ballots, once it leads or all are in; of equally common ones the first."""
        answers: list[object] = []
        counts: dict[str, int] = {}
        for ballot in range(op.max.value.data):
            values[op.ballot.block.args[0]] = ballot
            answer = self.region(op.ballot, values)[0]
            answers.append(answer)
            counts[canonical(answer)] = counts.get(canonical(answer), 0) + 1
            first, second = [*sorted(counts.values(), reverse=True), 0][:2]
            if first - second >= op.lead.value.data:
                break
        return max(answers, key=lambda answer: counts[canonical(answer)])


def _without(answer: object, pruned: Sequence[str]) -> object:
    """An answer without what is not asked for."""
    if not pruned or not isinstance(answer, Mapping):
        return answer
    return {name: member for name, member in answer.items() if name not in pruned}


def _narrowed(value: object) -> object:
    """NumPy's scalars as Python's, where a conversion starts from one."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", 1) == 0 else value
