"""Effects and limits."""

import pytest

from flowc.runtime.plan import Effect, Limits
from tests.checker.programs import body, checked, codes, found

TOOLS = """
tool look(x: int) -> int reads web
tool put(x: int) -> int writes db
tool safe(x: int) -> int writes db idempotent
tool twist(x: int) -> int pure
llm judge(claim: str) -> bool:
    \"\"\"{claim}?\"\"\"

kernel half(x: f32[n]) -> f32[n]:
    return x / 2

"""


def effects(statements: str, parameters: str = "") -> set[tuple[str, str | None]]:
    """The inferred effects of a flow with these statements."""
    program = checked(TOOLS + body(statements, parameters))
    return {(effect.kind, effect.resource) for effect in program.callables["main"].effects}


def test_the_effects_of_a_flow_are_those_of_what_it_calls() -> None:
    assert effects("x = twist(1)") == {("pure", None)}
    assert effects("x = look(put(1))") == {("reads", "web"), ("writes", "db")}
    assert effects('x = judge("a")\ny = embed(["a"])') == {("llm", None)}
    assert effects("x = half(y)", "y: f32[n]") == {("pure", None)}


def test_effects_reach_through_flows_in_any_order_of_declaration() -> None:
    text = TOOLS + body("inner()") + "\nflow inner() -> none:\n    put(1)\n"
    assert checked(text).callables["main"].effects == (Effect("writes", "db"),)


def test_a_declaration_covers_reads_by_writes_of_the_same_resource() -> None:
    reads = "tool peek() -> int reads db\n"
    text = TOOLS + reads + "flow main() -> int writes db:\n    return peek() + put(1)\n"
    assert codes(text) == []


def test_the_way_to_an_undeclared_effect_is_shown() -> None:
    chain = [("a", "", "put(1)"), ("b", "", "a()"), ("c", " pure", "b()")]
    text = TOOLS + "".join(f"flow {name}() -> int{said}:\n    return {call}\n" for name, said, call in chain)
    (error,) = found(text)
    assert error.code == "E0402"
    assert "`c` -> `b` -> `a` -> `put`" in error.why


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("x = race(look(1), put(1))", ["E0408"]),
        ("x = race(look(1), safe(1))", []),
        ('x = vote(judge(f"{safe(1)}"))', ["E0411"]),
        ("with retry(2):\n    put(1)", ["E0413"]),
        ("with retry(2):\n    safe(1)", []),
        ("with retry(0):\n    put(1)", []),
        ("with timeout(3s), timeout(4s):\n    put(1)", ["E0503"]),
        ("with budget($1):\n    with budget($2):\n        put(1)", ["E0504"]),
        ("with budget($0):\n    put(1)", ["E0502"]),
        ('x = vote(judge("a"), max=2)', ["E0510"]),
        ('x = vote(judge("a"), max=0)', ["E0506"]),
        ("x = vote(look(1))", ["E0508"]),
        ("while true up to 0:\n    put(1)", ["E0505"]),
    ],
)
def test_blocks_and_forms_restrict_effects_and_limits(statements: str, expected: list[str]) -> None:
    assert [code for code in codes(TOOLS + body(statements)) if code != "E0131"] == expected


def test_decorators_set_the_limits_and_settings_of_a_callable() -> None:
    text = """
@model("big", temperature=0.5, max_tokens=100)
@retry(3, backoff=200ms)
@timeout(2min)
@cached
llm judge(claim: str) -> bool:
    \"\"\"{claim}?\"\"\"

@budget($0.25, tokens=1000, calls=5)
@memory(2GB)
flow main() -> bool:
    return judge("a")
"""
    callables = checked(text).callables
    judge = callables["judge"]
    assert judge.limits == Limits(timeout=120, retries=3, backoff=0.2)
    assert (judge.model, judge.temperature, judge.max_tokens, judge.cached) == ("big", 0.5, 100, True)
    assert callables["main"].limits.money == 0.25
    assert callables["main"].limits.tokens == 1000
    assert callables["main"].limits.calls == 5
    assert callables["main"].limits.memory is not None


def test_flows_do_not_call_themselves_through_each_other() -> None:
    text = "flow a(n: int) -> int:\n    return b(n)\n\nflow b(n: int) -> int:\n    return a(n)\n"
    (error,) = found(text)
    assert error.code == "E0501"
    assert "`a` -> `b` -> `a`" in error.why


def test_a_flow_with_retries_may_not_write_unless_idempotent() -> None:
    for retries in (1, 2):
        assert codes(f"{TOOLS}@retry({retries})\n" + body("put(1)")) == ["E0413"]
        assert codes(f"{TOOLS}@retry({retries})\n" + body("safe(1)")) == []
        assert codes(f"@retry({retries})\ntool put(x: int) -> int writes db\n" + body("put(1)")) == ["E0413"]


UNDONE = """
tool put(x: int) -> int writes db
tool safe(x: int) -> int writes db idempotent
tool keep(x: int) -> int writes db undo drop, reads web
tool drop(x: int, result: int) -> none writes db
tool both(x: int) -> int writes db undo drop, writes mail
llm arrange(goal: str) -> plan[keep]:
    \"\"\"{goal}\"\"\"

event paid(order: str) -> bool:
    \"\"\"{order}\"\"\"

flow inner() -> int:
    return put(1)

flow fine() -> int:
    with transaction:
        x = keep(1)
    return x

flow planned() -> none:
    execute(arrange("a"))

flow mixed() -> none:
    keep(1)
    execute(arrange("a"))

"""


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("keep(1)", []),
        ("fine()\nkeep(2)", []),
        ("with retry(2):\n    fine()", ["E0413"]),
        ("with retry(2):\n    with transaction:\n        keep(1)", []),
        ("with retry(2):\n    with transaction:\n        keep(1)\n    keep(2)", ["E0413"]),
        ("put(1)", ["E0416"]),
        ("both(1)", ["E0416"]),
        ("inner()", ["E0416"]),
        ('execute(arrange("a"))', ["E0416"]),
        ("planned()", ["E0416"]),
        ("mixed()", ["E0416"]),
        ("safe(1)", ["E0416"]),
        ("with transaction:\n    put(1)", ["E0416"]),
    ],
)
def test_every_write_of_a_transaction_names_its_undo(statements: str, expected: list[str]) -> None:
    inside = "\n".join(f"    {line}" for line in statements.split("\n"))
    assert codes(UNDONE + body(f"with transaction:\n{inside}")) == expected


def test_a_write_that_nothing_takes_back_is_shown_with_its_way_and_the_fix() -> None:
    (error,) = found(UNDONE + body("with transaction:\n    inner()"))
    assert "`inner` -> `put`" in error.why
    assert "`writes db undo NAME`" in error.help
    (planned,) = found(UNDONE + body("with transaction:\n    planned()"))
    assert "a plan calls it" in planned.why


def test_sleeping_is_an_effect_and_takes_seconds_or_a_duration() -> None:
    assert effects("sleep(1h)") == {("sleep", None)}
    assert effects("sleep(3)\nx = look(1)") == {("sleep", None), ("reads", "web")}
    assert codes(body('sleep("long")')) == ["E0105"]
    assert codes(body("sleep()")) == ["E0115"]
    assert codes("flow main() -> none pure:\n    sleep(1s)\n") == ["E0402"]
    assert codes("flow main() -> none sleep:\n    sleep(1s)\n") == []
    assert codes("tool sleep(x: int) -> int pure\nflow main() -> int pure:\n    return sleep(1)\n") == []


def test_an_event_has_the_effect_of_a_question() -> None:
    text = UNDONE + "flow main() -> bool human:\n    return paid('a')\n"
    assert codes(text) == []
    assert codes('event paid() -> none:\n    """Paid?"""\n') == codes(
        'human paid() -> none:\n    """Paid?"""\n'
    )


@pytest.mark.parametrize(
    ("given", "taken", "expected"),
    [
        ("x: str", "x: trusted str", ["E0405"]),
        ("x: trusted str", "x: trusted str", []),
        ("x: trusted str", "x: str", []),
        ("x: str", "x: public str", ["E0405"]),
        ("x: str", "result: trusted str", ["E0405"]),
        ("x: public str", "result: public str", []),
        ("x: str", "result: public str", ["E0405"]),
    ],
)
def test_an_undo_may_be_given_what_the_write_was_given(given: str, taken: str, expected: list[str]) -> None:
    text = f"tool keep({given}) -> str writes db undo drop\ntool drop({taken}) -> none writes db\n"
    assert codes(text) == expected


def test_an_undo_takes_the_arguments_and_the_result_of_the_write() -> None:
    book = "tool book(room: str) -> int writes diary undo cancel\n"
    assert codes(book + "tool cancel(room: str, result: int) -> none writes diary\n") == []
    assert codes(book + "tool cancel(booking: int) -> none writes diary\n") == ["E0405"]
    assert codes(book) == ["E0405"]


@pytest.mark.parametrize("limit", ["budget(tokens={})", "budget(calls={})", "memory({}B)", "timeout({}s)"])
def test_a_limit_above_all_that_can_be_is_refused_and_says_so(limit: str) -> None:
    assert codes(f"@{limit.format(10**15)}\n" + body("pass")) == []
    for most in (10**15 + 1, 10**18):
        (error,) = found(f"@{limit.format(most)}\n" + body("pass"))
        assert error.code == "E0502"
        assert "no limit is above 1,000,000,000,000,000" in error.why
