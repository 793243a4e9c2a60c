"""Runs the benchmarks, prints their tables, and writes benchmarks/results/NAME.json."""

import argparse
import importlib
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table as Drawing

from benchmarks.measure import Table, machine

SUITES = ("overhead", "waiting", "compiling", "starting", "passes", "kernels")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(SUITES)}; else all")
    parser.add_argument("--quick", action="store_true", help="few repeats, small sizes: does it work?")
    options = parser.parse_args()
    unknown = set(options.names) - set(SUITES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    console = Console(width=140)
    for name in options.names or SUITES:
        table: Table = importlib.import_module(f"benchmarks.{name}").run(quick=options.quick)
        draw(console, table)
        if not options.quick:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.json").write_text(
                json.dumps(
                    {"machine": machine(), "title": table.title, "note": table.note, "rows": table.rows},
                    indent=1,
                )
                + "\n"
            )


def draw(console: Console, table: Table) -> None:
    """Prints one table."""
    drawing = Drawing(
        title=table.title, title_justify="left", caption=table.note or None, caption_justify="left"
    )
    columns = list(dict.fromkeys(key for row in table.rows for key in row))
    for column in columns:
        drawing.add_column(column.replace("_", " "), justify="left" if column == columns[0] else "right")
    for row in table.rows:
        drawing.add_row(*(_cell(row.get(column, "")) for column in columns))
    console.print(drawing)
    console.print()


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
