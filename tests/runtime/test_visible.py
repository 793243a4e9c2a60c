"""What of a text a terminal may show."""

from flowc.runtime.visible import visible


def test_a_prompt_cannot_move_the_cursor_of_the_terminal() -> None:
    assert visible("send?\x1b[2K\r no\n\tyes \u202e") == "send?\\x1b[2K\\r no\n\tyes \\u202e"


def test_a_prompt_in_any_script_is_shown_as_it_is() -> None:
    assert visible("Darf das gesendet werden? 発送") == "Darf das gesendet werden? 発送"


def test_wide_and_unbreakable_spaces_are_no_control_characters() -> None:
    assert visible("送\u3000信\u00a0?") == "送\u3000信\u00a0?"
