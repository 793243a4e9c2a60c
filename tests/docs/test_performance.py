"""The page of figures is what the benchmarks left, nothing more."""

from benchmarks.report import PAGE, page


def test_the_performance_page_is_made_from_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m benchmarks.report`"
