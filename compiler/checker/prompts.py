"""What a declaration says of its prompt, held against the prompt itself."""

from flowc.compiler.checker.limits import Settings
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Callable
from flowc.passes.paragraphs import paragraphs, place_word


def check_reorder(declaration: Callable, report: Report) -> None:
    """Warns where `@reorder` stands on a prompt whose paragraphs cannot change places."""
    span = next((each.span for each in declaration.decorators if each.name == "reorder"), None)
    if span is None or declaration.prompt is None:
        return
    found = paragraphs(declaration.prompt.parts)
    if len(found) < 2:
        report.warning(
            "E0414",
            f"`{declaration.name}` has one paragraph, which `@reorder` can put nowhere else",
            span,
            why="paragraphs are what blank lines separate",
            help="leave `@reorder` out, or put a blank line between what may change places",
        )
    elif word := place_word(found):
        report.warning(
            "E0415",
            f"the paragraphs of `{declaration.name}` stay where they are: one speaks of its place",
            span,
            why=f"it says `{word}`, which would be wrong in another order",
            help="say it without naming a place, or leave `@reorder` out",
        )


def check_fusable(declaration: Callable, settings: Settings, report: Report) -> None:
    """Warns where `@fusable` stands on an llm whose calls have to stay calls of their own."""
    span = next((each.span for each in declaration.decorators if each.name == "fusable"), None)
    limits = settings.limits
    own = (limits.timeout, limits.money, limits.tokens, limits.calls) != (None,) * 4
    if span is None or declaration.kind != "llm" or not (settings.cached or own):
        return
    cached = "a kept answer belongs to one question"
    report.warning(
        "E0420",
        f"`{declaration.name}` is never fused with another call",
        span,
        why=cached if settings.cached else "its own limits hold for this call alone",
        help="leave `@fusable` out, or " + ("`@cached`" if settings.cached else "put the limits on the flow"),
    )
