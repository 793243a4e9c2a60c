"""What a built-in function is: one row of the table that checker, documentation and both front ends read."""

from collections.abc import Callable, Mapping

from attrs import field, frozen

from flowc.runtime.types import Type


class RuleError(Exception):
    """Arguments that a built-in does not take; `argument` is the index of the one at fault, if any."""

    def __init__(
        self, code: str, message: str, *, why: str = "", help: str = "", argument: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.why = why
        self.help = help
        self.argument = argument


Constant = bool | int | float | str | None


@frozen
class Parameter:
    """A parameter of a built-in.

    `fixed` ones (`axis`) must be literals, known when the program is compiled. `expected` is the type an
    argument is checked against, None where the rule takes several.
    """

    name: str
    required: bool = True
    default: Constant = None
    fixed: bool = False
    expected: Type | None = None


@frozen
class Given:
    """What a type rule sees of a call.

    `types` are those of the arguments but the fixed ones, in parameter order; of a variadic built-in there
    may be more than it has parameters. `values` holds, by name, the value of each argument that is a
    literal, and the extents of a `shape` argument. `present` names the parameters that the call gives.
    `join` is the type that two types have in common, or None.
    """

    types: tuple[Type, ...]
    values: Mapping[str, object]
    present: frozenset[str]
    fields: Mapping[str, Mapping[str, Type]]
    join: Callable[[Type, Type], Type | None]


@frozen
class Outcome:
    """What a call comes to: its type, what it is lowered to, and conversions of arguments by index."""

    type: Type
    form: str = "apply"
    operator: str = ""
    options: Mapping[str, object] = field(factory=dict)
    coercions: Mapping[int, Type] = field(factory=dict)


Rule = Callable[[Given], Outcome]


@frozen
class Builtin:
    """A built-in function. `variadic` repeats the first parameter; `method` allows `x.f(a)` for `f(x, a)`."""

    name: str
    parameters: tuple[Parameter, ...]
    rule: Rule
    documentation: str
    group: str
    effect: str = "pure"
    variadic: bool = False
    method: bool = False

    @property
    def usage(self) -> str:
        """The call as the reference shows it: `sum(values, axis=none, keepdims=false)`."""
        shown = [_shown(parameter) for parameter in self.parameters]
        if self.variadic:
            shown.insert(1, "...")
        return f"{self.name}({', '.join(shown)})"


def _shown(parameter: Parameter) -> str:
    if parameter.required:
        return parameter.name
    match parameter.default:
        case str(text):
            return f'{parameter.name}="{text}"'
        case None | True | False as value:
            return f"{parameter.name}={str(value).lower()}"
        case number:
            return f"{parameter.name}={number}"


def required(name: str, expected: Type | None = None) -> Parameter:
    """A parameter that every call must give."""
    return Parameter(name, expected=expected)


def optional(name: str, default: Constant, expected: Type | None = None) -> Parameter:
    """A parameter with a default."""
    return Parameter(name, False, default, expected=expected)


def fixed(name: str, default: Constant) -> Parameter:
    """An optional parameter whose argument must be a literal."""
    return Parameter(name, False, default, fixed=True)
