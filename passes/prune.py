"""prune: what a model is given and nobody needs leaves the program.

An argument of an llm that does not reach its prompt is no longer passed. A field of a structured answer
that nobody reads is no longer asked for, if it comes after every field that is read: a model writes its
answer in order, and what it would have written later cannot have shaped what it wrote before. Fields before
those read stay, for they do: a field `reasoning` in front of a verdict is there to be written, not to be
read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.dialects.agent.calls import GenerateOp
from flowc.dialects.agent.declarations import LlmOp
from flowc.dialects.flow.attributes import JsonAttr
from flowc.dialects.flow.declarations import RecordDeclOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import ListType, RecordType
from flowc.passes.cost.model import output_tokens
from flowc.passes.facts import callee_of, is_dispatched, is_total, name_of, operations_of_flows, reads
from flowc.passes.framework import Findings, FlowPass, Report, line_of
from flowc.passes.reading import Reading, reading_of


@dataclass(frozen=True)
class PrunePass(FlowPass):
    """Drops arguments and fields that nobody needs."""

    name = "prune"

    def run(self, module: ModuleOp) -> Report:
        """Runs `prune`."""
        return prune(module)


@define
class _State:
    module: ModuleOp
    records: dict[str, RecordDeclOp]
    findings: Findings
    effects: Effects = field(factory=Effects)


def prune(module: ModuleOp) -> Report:
    """Prunes the calls of every llm; says which unread fields stay, and why."""
    calls: dict[str, list[GenerateOp]] = {}
    for op in operations_of_flows(module):
        if isinstance(op, GenerateOp):
            calls.setdefault(callee_of(op), []).append(op)
    records = {op.sym_name.data: op for op in module.ops if isinstance(op, RecordDeclOp)}
    state = _State(module, records, Findings("prune"))
    for declaration in list(module.ops):
        if isinstance(declaration, LlmOp) and (found := calls.get(declaration.sym_name.data)):
            _arguments(declaration, found, state)
            _fields(declaration, found, state)
    return state.findings.report()


# ---- arguments


def _arguments(declaration: LlmOp, calls: Sequence[GenerateOp], state: _State) -> None:
    """Drops the parameters of which nothing reaches the prompt in any call."""
    reached = [_reached(call) for call in calls]
    parameters = list(zip(declaration.parameters, declaration.types, strict=True))
    unused = [
        index
        for index in range(len(parameters))
        if all(call.arguments[index] not in there for call, there in zip(calls, reached, strict=True))
    ]
    if not unused:
        return
    gone: list[tuple[GenerateOp, SSAValue]] = []
    for call in calls:
        gone += [(call, call.arguments[index]) for index in unused]
        kept = [value for index, value in enumerate(call.arguments) if index not in unused]
        call.operands = [call.prompt, *kept]
    rest = [pair for index, pair in enumerate(parameters) if index not in unused]
    declaration.properties["parameters"] = ArrayAttr([attribute for attribute, _ in rest])
    declaration.properties["types"] = ArrayAttr([type_ for _, type_ in rest])
    names = ", ".join(f"`{parameters[index][0].parameter.data}`" for index in unused)
    name = declaration.sym_name.data
    state.findings.remark(declaration, f"the prompt of `{name}` has no hole for {names}: not passed any more")
    state.findings.fired += len(unused)
    for call, value in gone:
        _say_what_stays(call, value, state)


def _reached(call: GenerateOp) -> set[SSAValue]:
    """The values that the prompt of a call is made of, directly or not."""
    found: set[SSAValue] = set()
    pending = [call.prompt]
    while pending:
        value = pending.pop()
        if value not in found:
            found.add(value)
            if isinstance(value.owner, Operation):
                pending += reads(value.owner)
    return found


def _say_what_stays(call: GenerateOp, value: SSAValue, state: _State) -> None:
    """What made an argument for nothing: a call may fail, and a failure is never dropped."""
    owner = value.owner
    if isinstance(owner, Block) or any(True for _ in value.uses) or is_total(owner, state.effects):
        return
    what = "the call" if is_dispatched(owner) else "the computation"
    needless = f"only {name_of(call)} was given this, and does not need it"
    state.findings.remark(owner, f"{needless}: {what} stays, since it may fail; leave it out")


# ---- fields


def _fields(declaration: LlmOp, calls: Sequence[GenerateOp], state: _State) -> None:
    """Narrows the record that an llm answers with to what is read of it, and what comes before that."""
    type_ = declaration.result_type
    record = state.records.get(type_.record.data) if isinstance(type_, RecordType) else None
    if record is None or not isinstance(type_, RecordType):
        return
    names = [name.data for name in record.fields]
    readings = [reading_of(call.result) for call in calls]
    read = {name for reading in readings for name in reading.fields}
    unread = [name for name in names if name not in read]
    if not read or not unread:
        return
    escape = next((reading.escape for reading in readings if reading.escape is not None), None)
    name = declaration.sym_name.data
    listed = ", ".join(f"`{each}`" for each in unread)
    if escape is not None:
        whole = f"its answer goes on whole on line {line_of(escape)}"
        state.findings.remark(declaration, f"`{name}` is asked for {listed}, read nowhere by name: {whole}")
        return
    last = max(names.index(each) for each in read)
    dropped = names[last + 1 :]
    early = [each for each in unread if each not in dropped]
    if early:
        listed = ", ".join(f"`{each}`" for each in early)
        stays = f"it stays, since it comes before `{names[last]}` and shapes it"
        state.findings.remark(declaration, f"`{name}` is asked for {listed}, which nobody reads: {stays}")
    if dropped:
        _narrow(declaration, record, dropped, readings, state)


def _narrow(
    declaration: LlmOp,
    record: RecordDeclOp,
    dropped: Sequence[str],
    readings: Sequence[Reading],
    state: _State,
) -> None:
    name = declaration.sym_name.data
    pairs = [(field_.data, type_) for field_, type_ in zip(record.fields, record.types, strict=True)]
    saved = sum(output_tokens(type_) for each, type_ in pairs if each in dropped)
    made = RecordDeclOp(
        _free_name(f"{record.sym_name.data}_{name}", state),
        [pair for pair in pairs if pair[0] not in dropped],
    )
    made.location = record.location
    state.module.body.block.insert_op_after(made, record)
    old, new = RecordType(record.sym_name), RecordType(StringAttr(made.sym_name.data))
    declaration.properties["result_type"] = new
    declaration.properties["settings"] = JsonAttr.of({**declaration.setting, "pruned": [*dropped]})
    for reading in readings:
        for value in reading.values:
            Rewriter.replace_value_with_new_type(value, _replaced(value.type, old, new))
    listed = ", ".join(f"`{each}`" for each in dropped)
    less = f"which nobody reads: about {saved:.0f} tokens less an answer"
    state.findings.remark(declaration, f"`{name}` is no longer asked for {listed}, {less}")
    state.findings.fired += len(dropped)


def _free_name(wanted: str, state: _State) -> str:
    taken = {
        op.properties["sym_name"].data
        for op in state.module.ops
        if isinstance(op.properties.get("sym_name"), StringAttr)
    }
    while wanted in taken:
        wanted += "_"
    return wanted


def _replaced(type_: Attribute, old: Attribute, new: Attribute) -> Attribute:
    """A type with a record in it replaced by another."""
    if type_ == old:
        return new
    return ListType(_replaced(type_.element, old, new)) if isinstance(type_, ListType) else type_
