"""What was expected of a run beside what was measured, as a table for people and as JSON for programs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowc.cli import streams
from flowc.runtime.plan import Json, Plan
from flowc.runtime.result import RunResult

if TYPE_CHECKING:
    from flowc.runtime.expectations import Quantiles
    from flowc.runtime.trace.foretold import Foretold


Kernels = Mapping[str, "Quantiles"]
"""The seconds that the cost model expects of kernels."""


def foretold_json(report: RunResult, plan: Plan, kernels: Kernels) -> dict[str, Json]:
    """What `--output-format=json --explain` adds to the object of a run."""
    trace: Any = report.trace
    if trace is None or trace.ended is None:
        return {}
    from flowc.runtime.trace.foretold import foretold

    return {"foretold": [row.to_json() for row in foretold(trace, plan, kernels, virtual=report.virtual)]}


def show_foretold(trace: Any, plan: Plan, kernels: Kernels, *, virtual: bool) -> None:
    """A table on stderr: the worst surprises first."""
    from rich.table import Table
    from rich.text import Text

    from flowc.runtime.trace.foretold import foretold

    rows = foretold(trace, plan, kernels, virtual=virtual)
    if not rows:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("step", overflow="fold", max_width=24)
    for name in ("line", "times"):
        table.add_column(name, justify="right")
    for name in ("expected each", "measured", "off"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for row in rows:
        expected, measured = _figures(row)
        table.add_row(
            Text(row.step), str(row.line), str(row.times), expected, measured, _off(row), _basis(row)
        )
    streams.say("")
    streams.stderr().print(table)


def _figures(row: "Foretold") -> tuple[str, str]:
    """What was expected, as four of five and the middle, and what was measured."""
    found = row.expected
    if row.unit == "share":
        first = "first branch" if row.op == "if" else "success"
        return f"{first} {found.middle:.0%}", f"{row.measured:.0%}"
    if row.unit == "s":
        from flowc.runtime.trace.summary import duration

        low, middle, high, measured = (
            duration(each * 1e3) for each in (found.low, found.middle, found.high, row.measured)
        )
        return f"{middle} ({_without_unit(low, high)} to {high})", measured
    spread = f"{found.middle:,.0f} ({found.low:,.0f} to {found.high:,.0f})"
    unit = "out" if row.unit == "tokens" else "inside"
    return f"{spread} {unit}", f"{row.measured:,.0f} {unit}"


def _without_unit(low: str, high: str) -> str:
    """A time without its unit where the next one has the same."""
    figure, unit = low.split()
    return figure if high.split()[1] == unit else low


def _off(row: "Foretold") -> str:
    """How much more or less it was, where that is worth a word."""
    if row.unit == "share":
        return f"{row.measured - row.expected.middle:+.0%}"
    times = row.off if row.off >= 1.0 else 1.0 / row.off
    figure = f"{times:.1f}" if times < 100.0 else f"{times:,.0f}"
    return f"{figure}x" if row.off >= 1.0 else f"1/{figure}"


def _basis(row: "Foretold") -> str:
    """What an expectation rests on."""
    count = row.expected.samples
    return f"{count:,} sample{'s' if count > 1 else ''}" if count else row.basis
