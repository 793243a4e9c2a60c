"""Types of expressions and statements."""

import pytest

from flowc.runtime.types import text as written
from tests.checker.programs import body, checked, codes, found, type_in

DECLARED = """
record Passage:
    id: str
    note: str?
    score: f32

enum Verdict: yes, no

tool fetch(url: str) -> json reads web
tool rows(n: int) -> f32[n, 384] pure
"""


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("1 + 2", "int"),
        ("1 + 2.0", "float"),
        ("7 / 2", "float"),
        ("7 // 2", "int"),
        ("2 ** 3", "int"),
        ("a ** b", "float"),
        ('"a" + "b"', "str"),
        ('f"{a} and {x}"', "str"),
        ("[1, 2.5]", "list[float]"),
        ("[a] + [x]", "list[float]"),
        ('{"k": [1]}', "dict[str, list[int]]"),
        ("[i * 0.5 for i in range(a)]", "list[float]"),
        ("a if a > b else x", "float"),
        ("none if a > b else a", "int?"),
        ("try a // b else none", "int?"),
        ("1 < a <= b", "bool"),
        ("not a == b and x > 1", "bool"),
        ("a in [1, 2]", "bool"),
        ('"k" in {"k": 1}', "bool"),
        ("words[0]", "str"),
        ("words[1:]", "list[str]"),
        ('"abc"[0]', "str"),
        ("words[0].upper().split()", "list[str]"),
        ("enumerate(words)", "list[tuple[int, str]]"),
        ("zip(words, [a, b])", "list[tuple[str, int]]"),
        ("sorted(words, reverse=true)", "list[str]"),
        ("max(a, x, 3)", "float"),
        ("mean([1, 2])", "float"),
        ('", ".join(words)', "str"),
        ('{"k": 1}.get("k")', "int?"),
        ('{"k": 1}.get("k", 0)', "int"),
        ("grid @ grid.T", "f32[n, n]"),
        ("grid * 2 + 1.5", "f32[n, d]"),
        ("grid > 0.5", "bool[n, d]"),
        ("grid[0]", "f32[d]"),
        ("grid[0, 1]", "f32"),
        ("grid[:, 0]", "f32[n]"),
        ("grid[1:]", "f32[?, d]"),
        ("grid[::-1]", "f32[n, d]"),
        ("grid[none, 0]", "f32[1, d]"),
        ("sum(grid, axis=0)", "f32[d]"),
        ("grid.mean(axis=-1, keepdims=true)", "f32[n, 1]"),
        ("argmax(grid, axis=1)", "i64[n]"),
        ("topk(grid, 3).indices", "i64[n, 3]"),
        ("topk(grid, a).values", "f32[n, ?]"),
        ("grid[topk(grid[:, 0], 2).indices]", "f32[2, d]"),
        ("grid / a", "f32[n, d]"),
        ("i32(grid) / 2", "f64[n, d]"),
        ("grid.shape", "tuple[int, int]"),
        ("zeros([grid.shape[0], 4])", "f32[n, 4]"),
        ("full(3, 1.5, dtype=\"f64\")", "f64[3]"),
        ("where(grid > 0, grid, 0)", "f32[n, d]"),
        ("f32([[1.0, 2.0]])", "f32[?, ?]"),
        ("concat(grid, grid)", "f32[?, d]"),
        ("[row.sum() for row in grid]", "list[f32]"),
        ("majority(words)", "str"),
        ("to_json(words)", "json"),
        ("floor(x)", "int"),
        ("round(x, 2)", "float"),
        ("sqrt(a)", "float"),
    ],
)  # fmt: skip
def test_an_expression_has_the_type_that_the_reference_says(expression: str, type_: str) -> None:
    parameters = "a: int, b: int, x: float, words: list[str], grid: f32[n, d]"
    assert type_in(f"out = {expression}", parameters) == type_


def test_a_test_for_none_narrows_a_variable_and_a_field() -> None:
    text = DECLARED + body(
        """
if passage.note is none:
    return ""
size = len(passage.note)
both = other is not none and other.startswith("a")
return passage.note if both and size > 0 else "none"
""",
        "passage: Passage, other: str?",
        "str",
    )
    assert codes(text) == []


def test_a_narrowed_variable_is_optional_again_after_a_loop_assigns_it() -> None:
    statements = """
if note is none:
    return 0
for i in range(3):
    n = len(note)
    note = none if n > i else "x"
return len(note)
"""
    assert codes(body(statements, "note: str?", "int")) == ["E0120", "E0120"]


def test_a_value_assigned_to_an_optional_variable_narrows_it() -> None:
    assert codes(body('note: str? = none\nnote = "a"\nreturn note.upper()', result="str")) == []


def test_an_empty_list_takes_its_type_from_a_later_use() -> None:
    text = body("found = []\nfor i in range(3):\n    found = found + [i]\nreturn found", result="list[int]")
    program = checked(text)
    assert {written(type_) for type_ in program.types.values()} == {"list[int]", "int"}
    assert codes(body("found = []\nn = len(found)\nreturn n", result="int")) == ["E0119"]


def test_branches_must_agree_on_a_variable_that_is_used_after_them() -> None:
    statements = "if flag:\n    x = 1\nelse:\n    x = {}\nreturn {}"
    assert codes(body(statements.format("2", "x"), "flag: bool", "int")) == []
    assert codes(body(statements.format('"a"', "x"), "flag: bool", "int")) == ["E0107"]
    assert "E0107" not in codes(body(statements.format('"a"', "3"), "flag: bool", "int"))


def test_a_branch_that_leaves_does_not_count_for_what_is_defined_after() -> None:
    statements = "if flag:\n    x = 1\nelse:\n    return 0\nreturn x"
    assert codes(body(statements, "flag: bool", "int")) == []


def test_a_variable_of_a_loop_body_may_be_undefined_after_it() -> None:
    assert codes(body("for i in range(n):\n    x = i\nreturn x", "n: int", "int")) == ["E0106"]


def test_literals_take_the_dtype_of_what_they_meet_and_variables_do_not_lose_digits() -> None:
    assert codes(DECLARED + body('p = Passage("a", none, 0.5)\nreturn p.score', result="f32")) == []
    assert codes(DECLARED + body('p = Passage("a", none, x)\nreturn p.score', "x: float", "f32")) == ["E0209"]
    assert codes(body("return x", "x: f32", "float")) == []


@pytest.mark.parametrize(
    ("dtype", "fits", "beyond"),
    [
        ("f16", "65519.99", "65520.0"),
        ("f16", "65519", "65520"),
        ("bf16", "3.3961e38", "3.3962e38"),
        ("f32", "3.40282356e38", "3.40282357e38"),
        ("f32", "1e38", "1" + "0" * 39),
        ("f64", "1.7976931348623157e308", "1" + "0" * 309),
        ("i8", "127", "129"),
    ],
)
def test_a_literal_that_its_dtype_has_not_does_not_fit(dtype: str, fits: str, beyond: str) -> None:
    for place in (
        "return {}",
        "x: {dtype} = {}\nreturn x",
        "return y[0] + {}",
        "return where(y > 0, y, {})[0]",
    ):
        for sign in ("", "-", "-+-"):
            found = [
                codes(body(place.format(sign + number, dtype=dtype), f"y: {dtype}[3]", dtype))
                for number in (fits, beyond)
            ]
            assert found == [[], ["E0141"]], (place, sign)


def test_an_array_of_literals_is_checked_number_by_number() -> None:
    text = "kernel double(x: f32[n]) -> f32[n]:\n    return x + x\n\n"
    assert codes(text + body("return sum(double([1e308, 2.0, -1e39]))", result="f32")) == ["E0141", "E0141"]
    assert codes(text + body("return sum(double([1e38 * 1e38, 2.0]))", result="f32")) == []


def test_conversions_are_noted_where_the_value_stands() -> None:
    program = checked(DECLARED + body("y: float = 1\nz: int? = 2\nreturn z", result="int?"))
    assert {written(type_) for type_ in program.coercions.values()} == {"float", "int?"}


def test_an_array_that_is_iterated_is_noted_as_a_list() -> None:
    program = checked(body("return [words[i] for i in best]", "words: list[str], best: i64[k]", "list[str]"))
    assert "list[i64]" in {written(type_) for type_ in program.coercions.values()}


def test_named_extents_of_a_call_are_unified_and_substituted() -> None:
    kernel = "kernel dot(a: f32[m, d], b: f32[n, d]) -> f32[m, n]:\n    return a @ b.T\n\n"
    text = DECLARED + kernel + body("s = dot(rows(5), x)\nreturn s", "x: f32[k, 384]", "f32[5, k]")
    assert codes(text) == []
    wrong = found(DECLARED + kernel + body("s = dot(rows(5), x)\nreturn s", "x: f32[k, 300]", "f32[5, k]"))
    assert [each.code for each in wrong] == ["E0202"]
    assert len(wrong[0].labels) == 2


def test_one_mistake_is_told_once() -> None:
    statements = "x = missing + 1\ny = x * 2\nz = [y for i in x]\nreturn z[0] + y"
    assert codes(body(statements, result="int")) == ["E0101"]


def test_errors_come_in_source_order_and_all_at_once() -> None:
    text = body('a = one\nb: int = "x"\nc = 1 + "a"\nreturn two', result="int")
    diagnostics = found(text)
    assert [each.code for each in diagnostics] == ["E0101", "E0105", "E0109", "E0101"]
    lines = [each.labels[0].span.line for each in diagnostics]
    assert lines == sorted(lines)


def test_a_program_may_declare_a_function_with_the_name_of_a_lesser_built_in() -> None:
    text = "tool find(query: str) -> int pure\n\n" + body('return find("a")', result="int")
    assert codes(text) == []
    assert codes("tool len(query: str) -> int pure\n") == ["E0135"]


def test_what_code_after_a_return_says_is_checked_too() -> None:
    assert codes(body("return 1\nreturn missing", result="int")) == ["E0101"]
    assert codes(body("return 1\nreturn 2", result="int")) == ["E0133"]


def test_record_and_enum_values_are_bound_in_declaration_order() -> None:
    statements = 'p = Passage(score=1.5, id="a", note=none)\nv = Verdict("yes")\nreturn p'
    text = DECLARED + body(statements, result="Passage")
    bound = {call.kind: call for call in checked(text).calls.values()}
    assert [getattr(each, "value", None) for each in bound["record"].arguments] == ["a", None, 1.5]
    assert bound["enum"].name == "Verdict"


def test_defaults_fill_the_arguments_of_a_call() -> None:
    text = "tool work(a: int, b: int = 7) -> int pure\n\n" + body("return work(1)", result="int")
    (call,) = checked(text).calls.values()
    assert [getattr(each, "value", None) for each in call.arguments] == [1, 7]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("a if c else b", ["E0210"]),
        ("a if c else x", ["E0210"]),
        ("x if c else y", ["E0210"]),
        ("a if c else (a if c else b)", ["E0210"]),
        ("topk(x, 3).values if c else topk(x, 4).values", ["E0210"]),
        ("(topk(x, 3) if c else topk(x, 4)).values", ["E0210"]),
        ("a if c else b[:3]", []),
        ("a if c else 2 * a", []),
        ("x if c else x - 1", []),
        ("(topk(x, 3) if c else topk(y, 3)).values", []),
    ],
)
def test_both_ways_of_a_choice_in_a_kernel_have_one_shape(choice: str, wanted: list[str]) -> None:
    signature = "kernel pick(c: bool, a: f32[3], b: f32[4], x: f32[n], y: f32[m]) -> f32"
    assert [each for each in codes(f"{signature}:\n    return sum({choice})\n") if each != "E0131"] == wanted


def test_a_choice_in_a_flow_may_give_either_shape() -> None:
    assert codes(body("return a if c else b", "c: bool, a: f32[3], b: f32[4]", "f32[n]")) == []


@pytest.mark.parametrize(
    ("declared", "given"),
    [("float", "float?"), ("float", "int?"), ("int", "int?"), ("str", "str?"), ("f32", "f32?")],
)
def test_what_may_be_none_is_no_value_of_its_type(declared: str, given: str) -> None:
    assert codes(body(f"y: {declared} = a", f"a: {given}")) == ["E0120"]


def test_a_plan_goes_where_all_its_tools_are_allowed() -> None:
    tools = "".join(f"tool {name}(x: int) -> int reads web\n" for name in ("keep", "put", "see"))
    arrange = 'llm arrange(goal: str) -> plan[keep, put]:\n    """{goal}"""\n\n'
    for allowed, expected in (("keep, see", ["E0105"]), ("keep", ["E0105"]), ("see, put, keep", [])):
        use = f"flow use(p: plan[{allowed}]) -> none:\n    execute(p)\n\n"
        assert codes(tools + arrange + use + body('use(arrange("a"))')) == expected
