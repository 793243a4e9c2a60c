"""Limits and settings: what decorators and `with` say about time, money, retries and models."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import define, evolve, fields, frozen

from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Argument, Constant, Decorator, Expression, Span, Unary
from flowc.runtime.plan import Limits

Value = int | float | str | bool


@define
class Settings:
    """What decorators set. `spans` tells where, for diagnostics."""

    limits: Limits
    spans: dict[str, Span]
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    latency: float | None = None
    cached: bool = False
    reorder: bool = False
    fusable: bool = False
    associative: bool = False


@frozen
class Option:
    """An argument of a limit: the setting it gives, and how its value is read from a constant."""

    name: str
    setting: str
    read: Callable[[Constant], Value | None]
    wants: str


MOST = 10**15
"""What no amount, in seconds, dollars, bytes, tokens or calls, is above."""


def _seconds(value: Constant) -> Value | None:
    return _amount(value.value) if value.kind == "duration" else None


def _dollars(value: Constant) -> Value | None:
    return _amount(value.value) if value.kind == "money" else None


def _bytes(value: Constant) -> Value | None:
    number = _amount(value.value) if value.kind == "size" else None
    return None if number is None else int(number)


def _amount(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) and 0 < value <= MOST else None


def _count(value: Constant) -> Value | None:
    if value.kind == "int" and isinstance(value.value, int) and 0 < value.value <= MOST:
        return value.value
    return None


def _retries(value: Constant) -> Value | None:
    return (
        value.value
        if value.kind == "int" and isinstance(value.value, int) and 0 <= value.value <= 100
        else None
    )


def _temperature(value: Constant) -> Value | None:
    fine = value.kind in ("int", "float") and isinstance(value.value, int | float) and 0 <= value.value <= 2
    return float(value.value) if fine and isinstance(value.value, int | float) else None


def _name(value: Constant) -> Value | None:
    return str(value.value) if value.kind == "str" and str(value.value).strip() else None


_DURATION = "a duration above 0, as `30s` or `200ms`"
OPTIONS: dict[str, tuple[Option, ...]] = {
    "timeout": (Option("time", "timeout", _seconds, _DURATION),),
    "budget": (
        Option("money", "money", _dollars, "an amount above 0, as `$0.02`"),
        Option("tokens", "tokens", _count, "a whole number above 0"),
        Option("calls", "calls", _count, "a whole number above 0"),
    ),
    "retry": (
        Option("times", "retries", _retries, "a whole number from 0 to 100"),
        Option("backoff", "backoff", _seconds, _DURATION),
    ),
    "memory": (Option("size", "memory", _bytes, "a size above 0, as `512MB` or `2GB`"),),
    "model": (
        Option("name", "model", _name, "a name in quotes that flowc.toml explains"),
        Option("temperature", "temperature", _temperature, "a number from 0 to 2"),
        Option("max_tokens", "max_tokens", _count, "a whole number above 0"),
    ),
    "latency": (Option("mean", "latency", _seconds, _DURATION),),
    "cached": (),
    "reorder": (),
    "fusable": (),
    "associative": (),
    "precise": (),
    "reproducible": (),
}  # fmt: skip
"""The arguments of each limit and setting, in order."""

APPLIES: dict[str, tuple[str, ...]] = {
    "timeout": ("llm", "tool", "human", "event", "flow"),
    "budget": ("llm", "tool", "flow"),
    "retry": ("llm", "tool", "flow"),
    "memory": ("flow",),
    "model": ("llm",),
    "latency": ("tool",),
    "cached": ("llm", "tool"),
    "reorder": ("llm",),
    "fusable": ("llm",),
    "associative": ("llm", "tool", "flow"),
    "precise": ("kernel",),
    "reproducible": ("kernel",),
}
"""What each decorator can stand on."""

BLOCK_LIMITS = ("timeout", "budget", "retry", "memory")
"""What a `with` can say."""

_EXAMPLES = {
    "timeout": "timeout(30s)",
    "budget": "budget($0.02)",
    "retry": "retry(2, backoff=200ms)",
    "memory": "memory(2GB)",
    "model": 'model("small")',
    "latency": "latency(3s)",
    "cached": "cached",
    "reorder": "reorder",
    "fusable": "fusable",
    "associative": "associative",
    "precise": "precise",
    "reproducible": "reproducible",
}


def read_decorators(report: Report, kind: str, decorators: Sequence[Decorator]) -> Settings:
    """The settings that decorators give to a callable; reports unknown, misplaced and repeated ones."""
    settings = Settings(Limits(), {})
    for decorator in decorators:
        if decorator.name not in OPTIONS:
            report.error(
                "E0126",
                f"there is no decorator `@{decorator.name}`",
                decorator.span,
                help=did_you_mean(
                    decorator.name, OPTIONS, f"there are {listed('@' + name for name in OPTIONS)}"
                ),
            )
        elif kind not in APPLIES[decorator.name]:
            fits = [name for name, kinds in APPLIES.items() if kind in kinds]
            report.error(
                "E0127",
                f"`@{decorator.name}` cannot stand on {'an' if kind == 'llm' else 'a'} {kind}",
                decorator.span,
                why=f"it belongs to {listed(APPLIES[decorator.name], 'or')}",
                help=f"a {kind} takes {listed('@' + name for name in fits)}"
                if fits
                else f"a {kind} takes none",
            )
        elif decorator.name in settings.spans:
            _twice(report, decorator.name, decorator.span, settings.spans[decorator.name], "@")
        else:
            settings.spans[decorator.name] = decorator.span
            _apply(settings, read_limit(report, decorator.name, decorator.arguments, decorator.span, "@"))
            settings.cached = settings.cached or decorator.name == "cached"
            settings.reorder = settings.reorder or decorator.name == "reorder"
            settings.fusable = settings.fusable or decorator.name == "fusable"
            settings.associative = settings.associative or decorator.name == "associative"
    return settings


def _twice(report: Report, name: str, span: Span, first: Span, sign: str) -> None:
    report.error(
        "E0503", f"`{sign}{name}` stands twice", span, help="keep one", causes=((first, "first here"),)
    )


def _apply(settings: Settings, found: dict[str, Value]) -> None:
    settings.limits = with_values(settings.limits, found)
    for key, value in found.items():
        if key in ("model", "temperature", "max_tokens", "latency"):
            setattr(settings, key, value)


def with_values(limits: Limits, found: Mapping[str, Value]) -> Limits:
    """Limits with the values found; settings that are no limits are passed over."""
    names = {field.name for field in fields(Limits)}
    values: dict[str, Any] = {key: value for key, value in found.items() if key in names}
    return evolve(limits, **values)


def read_limit(
    report: Report, name: str, arguments: Sequence[Argument], span: Span, sign: str = ""
) -> dict[str, Value]:
    """The values of one limit, by the name of the setting; reports wrong arguments."""
    options = OPTIONS[name]
    found: dict[str, Value] = {}
    for position, argument in enumerate(arguments):
        option = _option(options, argument, position)
        if option is None:
            takes = listed(each.name for each in options)
            report.error(
                "E0128",
                f"`{sign}{name}` does not take this argument",
                argument.span,
                help=f"it takes {takes}: `{sign}{_EXAMPLES[name]}`"
                if options
                else f"write `{sign}{name}` alone",
            )
        elif option.setting in found:
            report.error("E0118", f"`{sign}{name}` gets `{option.name}` twice", argument.span)
        else:
            _read(report, name, option, argument.value, found, sign)
    if not arguments and options:
        report.error("E0128", f"`{sign}{name}` needs a value", span, help=f"as in `{sign}{_EXAMPLES[name]}`")
    return found


def _option(options: Sequence[Option], argument: Argument, position: int) -> Option | None:
    if argument.name is None:
        return options[position] if position < len(options) else None
    return next((option for option in options if option.name == argument.name), None)


def _read(
    report: Report, name: str, option: Option, value: Expression, found: dict[str, Value], sign: str
) -> None:
    constant = value.operand if isinstance(value, Unary) and value.operator == "-" else value
    read = option.read(constant) if isinstance(constant, Constant) and constant is value else None
    if read is not None:
        found[option.setting] = read
        return
    why = ""
    if not isinstance(constant, Constant):
        why = "limits are known when the program is compiled"
    elif isinstance(constant.value, int | float | Decimal) and constant.value > MOST:
        why = f"no limit is above {MOST:,} (seconds, dollars, bytes)"
    report.error(
        "E0502",
        f"`{option.name}` of `{sign}{name}` must be {option.wants}",
        value.span,
        why=why,
        help=f"as in `{sign}{_EXAMPLES[name]}`",
    )


_SHOWN = {
    "timeout": "a timeout of {:g} s",
    "money": "a budget of ${:g}",
    "tokens": "a budget of {} tokens",
    "calls": "a budget of {} calls",
    "memory": "a memory limit of {} bytes",
}


def check_nesting(report: Report, outer: Limits, inner: Limits, span: Span) -> None:
    """Warns where an inner limit is larger than the one around it, which ends first."""
    for name in ("timeout", "money", "tokens", "calls", "memory"):
        around, within = getattr(outer, name), getattr(inner, name)
        if around is not None and within is not None and within > around:
            report.warning(
                "E0504",
                f"{_SHOWN[name].format(within)} is never reached: the limit around it is smaller",
                span,
                help=f"{_SHOWN[name].format(around)} ends first; make it larger or leave this one out",
            )
