"""What `@associative` asks of a declaration: two parameters of the result's type, and no writes."""

from collections.abc import Sequence

from flowc.compiler.checker.model import ParameterInfo
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Callable
from flowc.runtime.plan import Effect
from flowc.runtime.types import Type


def check_associative(
    declaration: Callable,
    parameters: Sequence[ParameterInfo],
    result: Type,
    effects: Sequence[Effect],
    report: Report,
) -> None:
    """Reports an associative callable whose result could not be given to it again, or that writes."""
    span = next(each.span for each in declaration.decorators if each.name == "associative")
    if len(parameters) != 2 or any(each.type != result for each in parameters):
        report.error(
            "E0426",
            f"`{declaration.name}` cannot be associative",
            span,
            why="what it combines must be of the type that it gives, so that results can be combined again",
            help="give it two parameters of its result's type, or leave `@associative` out",
        )
    elif written := [effect.resource for effect in effects if effect.kind == "writes"]:
        report.warning(
            "E0427",
            f"calls of `{declaration.name}` keep their order all the same",
            span,
            why=f"it writes {written[0]}, and writes of a resource stay in the order written",
            help="leave `@associative` out, or let it only give its result",
        )
