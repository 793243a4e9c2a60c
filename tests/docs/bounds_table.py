"""Writes the table of bounds of docs/kernels.md: `python -m tests.docs.bounds_table`; a test compares."""

from pathlib import Path

from flowc.compiler.backends.llvm.mathematics import BOUNDS
from tests.docs.generated import between

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
START, END = "<!-- bounds -->\n", "<!-- /bounds -->"


def with_table(page: str) -> str:
    """The page with the table as the compiler has it: functions with the same bounds share a row."""
    rows: dict[tuple[int | float, int | float], list[str]] = {}
    for name, bounds in BOUNDS.items():
        rows.setdefault(tuple(bounds), []).append(f"`{name}`")
    lines = ["| function | f32 | f64 |", "|---|---|---|"]
    lines += [f"| {', '.join(names)} | {f32} | {f64} |" for (f32, f64), names in sorted(rows.items())]
    return between(page, START, "\n".join(lines) + "\n", END)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
