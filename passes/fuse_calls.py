"""fuse-calls: a chain of model calls, each about the answer of the one before, becomes one structured call.

What the model is asked changes, so both llms must say `@fusable`. The fused call asks the questions in order
and gets a record with a field for each; where a question had a hole for the answer before, it names the
field. A model writes its fields in order, so a later one can build on an earlier one, as the chain did. Calls
are fused only where nobody else reads what lies between them, and where model, temperature and limits are the
same.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.agent.calls import GenerateOp, PromptOp
from flowc.dialects.agent.declarations import LlmOp
from flowc.dialects.flow.attributes import Json, LimitsAttr, ParameterAttr
from flowc.dialects.flow.compute import FieldOp
from flowc.dialects.flow.declarations import RecordDeclOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import RecordType
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.model import FIRST_TOKEN_MS, PROMPT_TOKEN_MS, cost_model
from flowc.passes.cost.money import PROMPT_DOLLARS, WORTH, Prices
from flowc.passes.cost.spreads import is_sure, seconds_of
from flowc.passes.facts import blocks_of_flows, callee_of, is_dispatched, name_of, reads
from flowc.passes.framework import (
    Findings,
    FlowPass,
    Report,
    block_of,
    check_lines,
    line_of,
    place_before,
    replace_with,
)
from flowc.runtime.expected import HOLE_TOKENS

LONGEST = 8
"""How many questions one call asks at most: models lose their way in longer ones."""

OWN = ("timeout", "money", "tokens", "calls", "memory")
"""Limits that hold for one call alone, which a fused call could not keep."""


@dataclass(frozen=True)
class FuseCallsPass(FlowPass):
    """Makes one call of a chain of calls that are `@fusable`; those on the lines `without` end a chain."""

    name = "fuse-calls"
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `fuse_calls`."""
        return fuse_calls(module, self.without)


def fuse_calls(module: ModuleOp, without: Collection[int] = ()) -> Report:
    """Fuses chains of calls; says what was saved, or what a chain lacks to be one call."""
    state = _State(
        module,
        {op.sym_name.data: op for op in module.ops if isinstance(op, LlmOp)},
        {name.data for op in module.ops if isinstance(name := op.properties.get("sym_name"), StringAttr)},
        without,
    )
    for block in blocks_of_flows(module):
        for chain in list(_chains(block, state)):
            _fuse(chain, state)
    return state.findings.report()


@define
class _State:
    module: ModuleOp
    llms: dict[str, LlmOp]
    names: set[str]
    without: Collection[int] = ()
    fused: dict[tuple[object, ...], tuple[LlmOp, str]] = field(factory=dict)
    effects: Effects = field(factory=Effects)
    findings: Findings = field(factory=lambda: Findings("fuse-calls"))

    def fresh(self, name: str) -> str:
        """A symbol that no declaration has yet."""
        found, number = name, 2
        while found in self.names:
            found, number = f"{name}_{number}", number + 1
        self.names.add(found)
        return found


def _chains(block: Block, state: _State) -> Iterator[list[GenerateOp]]:
    """The longest chains of a block whose links may be fused."""
    linked: set[Operation] = set()
    for op in block.ops:
        if not isinstance(op, GenerateOp) or op in linked:
            continue
        chain = [op]
        while len(chain) < LONGEST and (following := _reader(chain[-1])) is not None:
            if line_of(following) in state.without or not _may_fuse(chain[-1], following, state):
                break
            chain.append(following)
            linked.add(following)
        if len(chain) > 1:
            yield chain


def _reader(op: GenerateOp) -> GenerateOp | None:
    """The one call that reads an answer, in its prompt, where nobody else does and it asks nothing twice."""
    readers = {use.operation for use in op.result.uses}
    prompts = [each for each in readers if isinstance(each, PromptOp)]
    if len(prompts) != 1 or prompts[0].parent is not op.parent:
        return None
    calls = {use.operation for use in prompts[0].result.uses}
    if len(calls) != 1 or not readers <= {prompts[0], *calls}:
        return None
    (call,) = calls
    return call if isinstance(call, GenerateOp) and call.parent is op.parent else None


def _may_fuse(first: GenerateOp, second: GenerateOp, state: _State) -> bool:
    reason = _reason(first, second, state)
    if reason:
        both = f"{name_of(first)} on line {line_of(first)} and {name_of(second)}"
        state.findings.remark(second, f"{both} could be one call, which would save {_gain(1)}: {reason}")
    return not reason


def _reason(first: GenerateOp, second: GenerateOp, state: _State) -> str:
    """What keeps two calls of a chain apart, and the least that would change it."""
    one, other = state.llms[callee_of(first)], state.llms[callee_of(second)]
    lacking = [each.sym_name.data for each in dict.fromkeys((one, other)) if not each.setting.get("fusable")]
    if lacking:
        return "that changes what the model is asked, so " + _both(lacking) + " would have to say `@fusable`"
    for name in ("model", "temperature"):
        if one.setting.get(name) != other.setting.get(name):
            return f"their {name} differs"
    if one.setting.get("cached") or other.setting.get("cached"):
        return "`@cached` answers are kept for one question"
    if pruned := [each.sym_name.data for each in (one, other) if each.setting.get("pruned")]:
        return f"of the answer of {_both(pruned)} only the fields that are read are asked for"
    limits = [dict(each.limits.data) if each.limits is not None else {} for each in (one, other)]
    if own := sorted({name for each in limits for name in each if name in OWN}):
        return f"a limit of its own ({', '.join(own)}) holds for one call alone"
    if limits[0] != limits[1]:
        return "they are not tried again equally often"
    if (one.setting.get("max_tokens") is None) != (other.setting.get("max_tokens") is None):
        return "only one of them has `max_tokens`"
    return _between(first, second, state)


def _both(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _between(first: GenerateOp, second: GenerateOp, state: _State) -> str:
    """Whether the first call may be made as late as the second can."""
    op = first.next_op
    late: set[SSAValue] = set()
    while op is not None and op is not second:
        if not state.effects.of(op).commutes_with_itself:
            return f"what is done on line {line_of(op)} comes between them"
        if is_dispatched(op) or any(value in late for value in reads(op)):
            late.update(op.results)
        op = op.next_op
    given = [
        *second.arguments,
        *(second.prompt.owner.operands if isinstance(second.prompt.owner, PromptOp) else ()),
    ]
    if any(value in late for value in given):
        return "the second also waits for another call, for which the first would have to wait then"
    return ""


def _fuse(chain: Sequence[GenerateOp], state: _State) -> None:
    """Puts one call in the place of a chain."""
    last = chain[-1]
    whole, arguments, parameters = _merged(chain, state)
    llm, record = _declaration(chain, parameters, state)
    asked = place_before(last, whole)
    fused = GenerateOp(
        llm.sym_name.data, asked.result, arguments, RecordType(StringAttr(record)), last.effects
    )
    place_before(last, fused)
    members = _members(chain)
    answer = place_before(last, FieldOp(fused.result, members[-1], last.result.type))
    answer.result.name_hint = last.result.name_hint
    names = ", ".join(map(name_of, chain))
    saved = _gain(len(chain) - 1)
    state.findings.remark(last, f"{names}: one call instead of {len(chain)}, which saves {saved}")
    state.findings.decisions.append(_decision(chain, names, state))
    state.findings.fired += 1
    prompts = [op.prompt.owner for op in chain]
    replace_with(last, [answer.result])
    for op, prompt in reversed(list(zip(chain, prompts, strict=True))):
        if op is not last:
            block_of(op).erase_op(op)
        if isinstance(prompt, PromptOp) and not any(prompt.result.uses):
            block_of(prompt).erase_op(prompt)


def _decision(chain: Sequence[GenerateOp], names: str, state: _State) -> Decision:
    """What one call instead of many saves: first tokens, and prompts with the answer before."""
    costs, prices = cost_model(state.module), Prices(state.module)
    seconds = [seconds_of(op, costs) for op in chain]
    whole, paid = sum(map(costs.cost, chain)), sum(map(prices.of, chain))
    fewer = len(chain) - 1
    saved = min(fewer * (FIRST_TOKEN_MS + HOLE_TOKENS * PROMPT_TOKEN_MS), whole)
    apart = Alternative(f"{len(chain)} calls", whole, paid)
    one = Alternative("one call", whole - saved, max(0.0, paid - fewer * HOLE_TOKENS * PROMPT_DOLLARS))
    gain = saved + 1e3 * (apart.dollars - one.dollars) / WORTH
    known = f"{min(each.samples for each in seconds)} calls seen of the least known"
    return Decision("fuse", line_of(chain[-1]), one.name, (apart, one), gain, is_sure(*seconds), names, known)


def _members(chain: Sequence[GenerateOp]) -> list[str]:
    """The names of the answers: those of the llms, numbered where one is asked more than once."""
    found: list[str] = []
    for op in chain:
        name, number = callee_of(op), 2
        while name in found:
            name, number = f"{callee_of(op)}_{number}", number + 1
        found.append(name)
    return found


Parameters = list[tuple[ParameterAttr, Attribute]]


def _merged(chain: Sequence[GenerateOp], state: _State) -> tuple[PromptOp, list[SSAValue], Parameters]:
    """The questions one after the other, with their holes and arguments under names of their own."""
    segments: list[Json] = ["Answer step by step, with one field for each step.\n"]
    values: list[SSAValue] = []
    arguments: list[SSAValue] = []
    parameters: Parameters = []
    holes: set[str] = set()
    answered: dict[SSAValue, str] = {}
    for op, member in zip(chain, _members(chain), strict=True):
        segments.append(f"\nThe field `{member}`:\n")
        prompt = op.prompt.owner
        assert isinstance(prompt, PromptOp)
        filling = iter(prompt.values)
        for part in prompt.parts:
            value = None if isinstance(part, str) else next(filling)
            if value is None or isinstance(part, str):
                segments.append(part if isinstance(part, str) else "")
            elif value in answered:
                segments.append(f"(the field `{answered[value]}`)")
            else:
                name = _apart(part["hole"], member, holes)
                segments.append({"hole": name})
                values.append(value)
        segments.append("\n")
        declared = state.llms[callee_of(op)]
        taken = {each.parameter.data for each, _ in parameters}
        for value, parameter, type_ in zip(op.arguments, declared.parameters, declared.types, strict=True):
            if value not in answered:
                name = _apart(parameter.parameter.data, member, taken)
                parameters.append((ParameterAttr.new([StringAttr(name), *parameter.parameters[1:]]), type_))
                arguments.append(value)
        answered[op.result] = member
    return PromptOp(_joined(segments), values), arguments, parameters


def _apart(name: str, member: str, taken: set[str]) -> str:
    """A name that is not taken, and takes it."""
    found, number = name, 2
    while found in taken:
        found, number = f"{member}_{name}" if number == 2 else f"{member}_{name}_{number}", number + 1
    taken.add(found)
    return found


def _joined(segments: Sequence[Json]) -> list[Json]:
    """Texts that follow each other as one."""
    found: list[Json] = []
    for part in segments:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return found


def _declaration(chain: Sequence[GenerateOp], parameters: Parameters, state: _State) -> tuple[LlmOp, str]:
    """The llm of a fused call and the record of its answers, made once for equal chains."""
    key = tuple(map(callee_of, chain)), tuple(each.parameter.data for each, _ in parameters)
    if key in state.fused:
        return state.fused[key]
    first = state.llms[callee_of(chain[0])]
    name = state.fresh("_then_".join(map(callee_of, chain)))
    answers = state.fresh(f"{name}_answers")
    record = RecordDeclOp(
        answers, [(m, op.result.type) for m, op in zip(_members(chain), chain, strict=True)]
    )
    settings = {key: value for key, value in first.setting.items() if key in ("model", "temperature")}
    most = [state.llms[callee_of(op)].setting.get("max_tokens") for op in chain]
    if counts := [each for each in most if isinstance(each, int)]:
        settings["max_tokens"] = sum(counts)
    limits = first.limits if isinstance(first.limits, LimitsAttr) else None
    llm = LlmOp(
        name,
        parameters,
        RecordType(StringAttr(answers)),
        effects=first.effects,
        limits=limits,
        settings=settings,
    )
    for op in (record, llm):
        op.location = first.location
        state.module.body.block.insert_op_after(op, first)
    state.llms[llm.sym_name.data] = llm
    state.fused[key] = llm, answers
    return llm, answers


def _gain(calls: int) -> str:
    """What so many calls fewer save, each with the answer before in its prompt."""
    milliseconds = calls * (FIRST_TOKEN_MS + HOLE_TOKENS * PROMPT_TOKEN_MS)
    return f"about {milliseconds:.0f} ms and ${calls * HOLE_TOKENS * PROMPT_DOLLARS:.4f} of prompt"
