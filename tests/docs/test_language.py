"""The language reference says what the compiler does."""

from tests.docs.builtin_table import PAGE, with_table


def test_the_table_of_built_ins_is_the_one_that_the_checker_reads() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run `python -m tests.docs.builtin_table`"
