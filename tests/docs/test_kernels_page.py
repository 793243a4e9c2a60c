"""The page about kernels says what the compiler promises, and names files that exist."""

import re
from pathlib import Path

from tests.docs.bounds_table import PAGE, with_table

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/-]+(?:\.py|\.ll|\.txt|/)|(?:passes|compiler|benchmarks)/[\w/]+)`")
FOLDERS = ("", "passes/array_to_loops", "passes/array_to_loops/contract", "compiler/backends/llvm")


def test_the_table_of_bounds_is_the_one_of_the_compiler() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run `python -m tests.docs.bounds_table`"


def test_every_file_that_the_page_names_exists() -> None:
    names = NAMED.findall(PAGE.read_text("utf-8"))
    assert len(names) > 10
    missing = [name for name in names if not any(Path(ROOT, folder, name).exists() for folder in FOLDERS)]
    assert not missing
