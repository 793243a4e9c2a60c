"""docs/numpy.md lists what the numeric front end compiles."""

from tests.docs import numpy_table


def test_the_page_lists_the_functions_of_the_table() -> None:
    page = numpy_table.PAGE.read_text(encoding="utf-8")
    assert page == numpy_table.with_table(page), "run python -m tests.docs.numpy_table"


def test_every_function_has_a_name_that_a_program_can_write() -> None:
    assert "`np.linalg.norm`" in numpy_table.table()
    assert "`np.add.outer`" in numpy_table.table()
    assert "`flowc.topk`" in numpy_table.table()
