"""Special forms: race, vote, execute, sleep, endorse and declassify."""

from flowc.compiler.checker.arguments import Slot, match_arguments
from flowc.compiler.checker.context import ERROR, CallMade, Context, Region, infer, resolve, shown_type
from flowc.compiler.checker.convert import common_type, literal_value, require
from flowc.compiler.checker.model import BoundCall
from flowc.compiler.syntax import Call, Constant, Expression
from flowc.runtime.types import FLOAT, JSON, NONE, Array, List, PlanOf, Type

_VOTE_MAXIMUM = 7
_VOTE_LEAD = 3


def form_type(context: Context, node: Call, name: str, expected: Type | None) -> Type:
    """The type of a special form."""
    if context.kind == "kernel":
        context.report.error(
            "E0404",
            f"a kernel cannot say `{name}`",
            node.span,
            why="a kernel is pure arithmetic that becomes machine code",
            help="say it in the flow that calls the kernel",
        )
    if name == "race":
        return _race(context, node, expected)
    if name == "vote":
        return _vote(context, node, expected)
    if name == "execute":
        return _execute(context, node)
    if name == "sleep":
        return _sleep(context, node)
    return _relabel(context, node, name, expected)


def _infer_all(context: Context, node: Call) -> None:
    for argument in node.arguments:
        infer(context, argument.value)


def _race(context: Context, node: Call, expected: Type | None) -> Type:
    arms = [argument.value for argument in node.arguments]
    named = next((argument for argument in node.arguments if argument.name is not None), None)
    if named is not None:
        context.report.error(
            "E0117", f"`race` has no parameter `{named.name}`", named.span, help="list the calls"
        )
    if len(arms) < 2:
        context.report.error(
            "E0507",
            "a race needs two calls or more",
            node.span,
            help="`race(a(x), b(x))` takes the first to succeed",
        )
    types = []
    for arm in arms:
        first = len(context.calls)
        types.append(resolve(context, infer(context, arm, expected)))
        context.regions.append(Region("race", first, len(context.calls), arm.span))
    context.facts.calls[id(node)] = BoundCall("race", "race", tuple(arms))
    if not arms:
        return ERROR
    headline = "the arms of a race give `{first}` and `{have}`"
    return common_type(context, arms, types, headline, "whichever wins, the result has one type")


def _vote(context: Context, node: Call, expected: Type | None) -> Type:
    slots = [Slot("call", True), Slot("max", False), Slot("lead", False)]
    bound = match_arguments(context, "`vote`", slots, node.arguments, node.span)
    if bound is None:
        _infer_all(context, node)
        return ERROR
    call = bound["call"]
    first = len(context.calls)
    found = resolve(context, infer(context, call, expected))
    context.regions.append(Region("vote", first, len(context.calls), call.span))
    known = context.facts.calls.get(id(call))
    if found != ERROR and (known is None or known.kind not in ("llm", "human", "flow")):
        context.report.error(
            "E0508",
            "`vote` takes a call of an llm",
            call.span,
            why="asking anything else again gives the same answer",
            help="`vote(judge(claim, notes), max=7, lead=3)`",
        )
    if isinstance(found, Array):
        context.report.error("E0508", "answers that are arrays cannot be counted", call.span)
    maximum = _count(context, bound, "max", _VOTE_MAXIMUM)
    lead = _count(context, bound, "lead", min(_VOTE_LEAD, maximum))
    if lead > maximum:
        context.report.error(
            "E0506",
            f"a lead of {lead} is never reached with {maximum} ballots",
            node.span,
            help=f"`lead` is at most `max`: `lead={max(1, (maximum + 1) // 2)}`",
        )
    elif maximum % 2 == 0:
        context.report.warning(
            "E0510",
            f"{maximum} ballots can end in a tie",
            node.span,
            help=f"take an odd `max`: {maximum + 1}",
        )
    context.facts.calls[id(node)] = BoundCall("vote", "vote", (call,), {"max": maximum, "lead": lead})
    return found


def _count(context: Context, bound: dict[str, Expression], name: str, default: int) -> int:
    value = bound.get(name)
    if value is None:
        return default
    infer(context, value)
    number = literal_value(value)
    if isinstance(number, int) and 1 <= number <= 1000:
        return number
    context.report.error(
        "E0506",
        f"`{name}` of `vote` must be a whole number from 1 to 1000, written out",
        value.span,
        why="the number of ballots is bounded when the program is compiled",
    )
    return default


def _execute(context: Context, node: Call) -> Type:
    bound = match_arguments(context, "`execute`", [Slot("plan", True)], node.arguments, node.span)
    if bound is None:
        _infer_all(context, node)
        return List(JSON)
    plan = bound["plan"]
    found = resolve(context, infer(context, plan))
    if isinstance(found, PlanOf):
        context.calls.extend(CallMade(tool, node.span, planned=True) for tool in found.tools)
        options = {"tools": found.tools}
        context.facts.calls[id(node)] = BoundCall("execute", "execute", (plan,), options)
    elif found != ERROR:
        context.report.error(
            "E0105",
            f"`execute` runs a plan, found `{shown_type(context, found)}`",
            plan.span,
            f"this is `{shown_type(context, found)}`",
            help="let an llm write one: `llm arrange(goal: str) -> plan[search, lookup]:`",
        )
    return List(JSON)


def _sleep(context: Context, node: Call) -> Type:
    bound = match_arguments(context, "`sleep`", [Slot("time", True)], node.arguments, node.span)
    if bound is None:
        _infer_all(context, node)
        return NONE
    time = bound["time"]
    if isinstance(time, Constant) and time.kind == "duration":
        context.facts.types[id(time)] = FLOAT
    else:
        require(context, time, FLOAT, "`sleep` takes seconds, `{want}`, or a duration; found `{have}`")
    context.calls.append(CallMade("sleep", node.span))
    context.facts.calls[id(node)] = BoundCall("sleep", "sleep", (time,))
    return NONE


def _relabel(context: Context, node: Call, name: str, expected: Type | None) -> Type:
    slots = [Slot("value", True), Slot("reason", False), Slot("to", False)]
    bound = match_arguments(context, f"`{name}`", slots, node.arguments, node.span)
    if bound is None:
        _infer_all(context, node)
        return ERROR
    value, reason, to = bound["value"], bound.get("reason"), bound.get("to")
    found = infer(context, value, expected)
    if not (isinstance(reason, Constant) and reason.kind == "str" and str(reason.value).strip()):
        context.report.error(
            "E0305",
            f"`{name}` needs a reason",
            node.span if reason is None else reason.span,
            why=f"every `{name}` is listed by `flowc check --manifest`, for people to judge",
            help=f'write why it is safe: `{name}(x, "checked against the address book")`',
        )
        said = ""
    else:
        infer(context, reason)
        said = str(reason.value)
    options: dict[str, object] = {"reason": said, "to": _target(context, to)}
    context.facts.calls[id(node)] = BoundCall(
        "endorse" if name == "endorse" else "declassify", name, (value,), options
    )
    return found


def _target(context: Context, to: Expression | None) -> str | None:
    if to is None:
        return None
    infer(context, to)
    labels = [label for chain in context.world.chains for label in chain]
    if isinstance(to, Constant) and to.value in labels:
        return str(to.value)
    context.report.error(
        "E0301", "`to` must be a label, in quotes", to.span, help=f"one of {', '.join(labels)}"
    )
    return None
