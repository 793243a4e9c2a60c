"""The account of a run, for the person who started it: a summary, and step by step with `--explain`."""

from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowc.cli import streams
from flowc.cli.foretold import Kernels, show_foretold
from flowc.runtime.plan import Plan
from flowc.runtime.result import RunResult

if TYPE_CHECKING:
    from flowc.runtime.trace.summary import Step


def show_account(report: RunResult, explained: Plan | None, kernels: Kernels, brief: bool) -> None:
    """Prints on stderr what the run took; with the plan `explained` also its steps beside what that, and the
    cost model of `kernels`, expected, and without `brief` a summary.
    """
    trace: Any = report.trace
    if trace is None or trace.measures is None:
        return
    if explained is not None:
        _show_table(trace)
        show_foretold(trace, explained, kernels, virtual=report.virtual)
        _show_models(trace)
    if not brief:
        from flowc.runtime.trace.summary import summarise, text

        status = "" if report.status == "ok" else f"{report.status} after "
        virtual = " (virtual time)" if report.virtual else ""
        first, *rest = text(summarise(trace))
        streams.say("\n".join([f"{status}{first}{virtual}", *rest]))


@frozen
class Row:
    """All executions of one place of the program. Times in milliseconds since the run began."""

    name: str
    op: str
    line: int
    times: int
    began: float
    ended: float
    busy: float
    beside: int
    rank: float
    critical: bool


def rows(steps: "list[Step]") -> list[Row]:
    """The steps of a run by place, in the order in which they began."""
    places: dict[tuple[str, str, int], list[Step]] = {}
    for step in steps:
        places.setdefault((step.name, step.op, step.line), []).append(step)
    found = [
        Row(
            *key,
            times=len(group),
            began=min(step.start_ms for step in group),
            ended=max(step.start_ms + step.duration_ms for step in group),
            busy=sum(step.duration_ms for step in group),
            beside=max(step.beside for step in group),
            rank=max(step.rank for step in group),
            critical=any(step.critical for step in group),
        )
        for key, group in places.items()
    ]
    return sorted(found, key=lambda row: row.began)


def _show_table(trace: Any) -> None:
    """A table on stderr: what ran when, beside how many others, and what was expected of it."""
    from rich.table import Table
    from rich.text import Text

    from flowc.runtime.trace.summary import duration, steps

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("step", "what"):
        table.add_column(name)
    for name in ("line", "times", "began", "ended", "busy", "beside", "rank"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows(steps(trace)):
        times = (duration(row.began), duration(row.ended), duration(row.busy))
        counts = (str(row.line), str(row.times), *times, str(row.beside), f"{row.rank:,.1f}")
        table.add_row(Text(row.name), row.op, *counts, "critical" if row.critical else "")
    streams.stderr().print(table)


def _show_models(trace: Any) -> None:
    """A table on stderr: what each model was asked, what that cost, and how long its calls waited."""
    from rich.table import Table
    from rich.text import Text

    from flowc.runtime.trace.models import model_uses
    from flowc.runtime.trace.summary import duration

    uses = model_uses(trace)
    if not uses:
        return
    table = Table(box=None, header_style="bold", pad_edge=False, show_footer=len(uses) > 1)
    providers = {use.provider for use in uses}
    table.add_column("model", footer="together", overflow="fold")
    totals = (
        f"{sum(use.calls for use in uses):,}",
        f"{sum(use.tokens_in for use in uses):,}",
        f"{sum(use.cached for use in uses):,}",
        f"{sum(use.tokens_out for use in uses):,}",
        _money(sum(use.cost_usd for use in uses)),
        duration(sum(use.waited for use in uses) * 1e3),
        duration(max(use.longest for use in uses) * 1e3),
    )
    names = ("calls", "tokens in", "cached", "tokens out", "cost", "waited", "longest")
    for name, total in zip(names, totals, strict=True):
        table.add_column(name, justify="right", footer=total)
    for use in uses:
        tokens = (f"{use.tokens_in:,}", f"{use.cached:,}", f"{use.tokens_out:,}")
        waits = (duration(use.waited * 1e3), duration(use.longest * 1e3))
        name = use.model if len(providers) == 1 else f"{use.provider}/{use.model}"
        table.add_row(Text(name), f"{use.calls:,}", *tokens, _money(use.cost_usd), *waits)
    streams.say("")
    streams.stderr().print(table)


def _money(dollars: float) -> str:
    """What calls cost; nothing is what they cost where flowc.toml has no prices."""
    return f"${dollars:.4f}" if dollars else "no price"
