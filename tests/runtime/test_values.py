"""Values at the edges: records, coercion, JSON both ways, schemas, arguments."""

import enum
import json
import math
import re
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.coerce import Mismatch, Tables, coercer
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Operation, Parameter
from flowc.runtime.providers.simulated import value_of
from flowc.runtime.reading import bind_arguments, parse_text, read_text_arguments
from flowc.runtime.scheduler.plan_steps import is_given, read_steps
from flowc.runtime.schema import closed, schema, wrapped
from flowc.runtime.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    PlanOf,
    Record,
    Scalar,
    Tuple,
    Type,
)
from flowc.runtime.values import canonical, equal, record_class, size_of, to_json
from tests.runtime.plans import Builder, plan

TABLES = Tables(
    {
        "Point": (("x", FLOAT), ("label", Optional(STR))),
        "Tree": (("name", STR), ("children", List(Record("Tree"))), ("class", Optional(INT))),
    },
    {"Verdict": ("yes", "no", "unsure")},
    {
        "search": (Parameter("query", STR), Parameter("limit", INT, 20, True)),
        "sum_up": (Parameter("parts", List(INT)), Parameter("as_", Optional(Enum("Verdict")), None, True)),
        "draw": (Parameter("at", Record("Point")), Parameter("image", Array("f32", ("n", 3)))),
        "stop": (),
    },
)
PLAN = PlanOf(("search", "sum_up", "draw", "stop"))

scalars: st.SearchStrategy[Type] = st.sampled_from(
    [STR, INT, FLOAT, BOOL, BYTES, NONE, JSON, Scalar("f32"), Scalar("i8"), Enum("Verdict"), Record("Point")]
)
types: st.SearchStrategy[Type] = st.recursive(
    scalars
    | st.just(PLAN)
    | st.just(Record("Tree"))
    | st.just(Array("f32", ("n", 3)))
    | st.just(Array("i64", (2,))),
    lambda inner: (
        st.builds(List, inner)
        | st.builds(Dict, inner)
        | st.builds(Optional, inner.filter(lambda type_: not isinstance(type_, Optional)))
        | st.builds(lambda a, b: Tuple((a, b)), inner, inner)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(types, st.randoms(use_true_random=False))
def test_what_a_value_prints_as_reads_back_to_an_equal_value(type_: Type, chance: Any) -> None:
    convert = coercer(type_, TABLES)
    value = convert(value_of(type_, TABLES, chance))
    printed = to_json(value, limit=None)
    again = convert(json.loads(json.dumps(printed)))
    assert equal(value, again)
    assert canonical(value) == canonical(again)


def fits(value: Any, pattern: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    """Whether a JSON value fits a schema: as much of JSON Schema as schemas of types use."""
    if "$ref" in pattern:
        return fits(value, definitions[pattern["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in pattern:
        return any(fits(value, each, definitions) for each in pattern["anyOf"])
    if "enum" in pattern:
        return value in pattern["enum"]
    match pattern.get("type"):
        case "object":
            return isinstance(value, dict) and _members_fit(value, pattern, definitions)
        case "array":
            if not isinstance(value, list) or len(value) < pattern.get("minItems", 0):
                return False
            inner = pattern.get("prefixItems") or [pattern.get("items", {})] * len(value)
            return all(fits(item, each, definitions) for item, each in zip(value, inner, strict=True))
        case "string":
            return (
                isinstance(value, str) and re.fullmatch(pattern.get("pattern", ".*"), value, re.S) is not None
            )
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    return True


def _members_fit(value: dict[str, Any], pattern: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    members = pattern.get("properties", {})
    more = pattern.get("additionalProperties", {})
    known = all(fits(value[name], each, definitions) for name, each in members.items() if name in value)
    others = [item for name, item in value.items() if name not in members]
    return (
        known
        and set(pattern.get("required", ())) <= set(value)
        and (not others or (more is not False and all(fits(item, more, definitions) for item in others)))
    )


@settings(max_examples=150, deadline=None)
@given(types, st.randoms(use_true_random=False))
def test_every_value_of_a_type_fits_its_schema(type_: Type, chance: Any) -> None:
    value = value_of(type_, TABLES, chance)
    described = schema(type_, TABLES)
    assert fits(value, described, described.get("$defs", {}))
    outer = wrapped(type_, TABLES)
    assert fits({"value": value}, outer, outer.get("$defs", {}))


def written(**arguments: Any) -> Any:
    return {"steps": [{"id": "b", **arguments}]}


@pytest.mark.parametrize(
    ("sound", "value"),
    [
        (True, written(tool="search", arguments={"query": "a", "limit": 3})),
        (True, written(tool="search", arguments={"query": "$a", "limit": "$a"})),
        (True, written(tool="search", arguments={"query": "a", "limit": None})),
        (True, written(tool="sum_up", arguments={"parts": [1, "$a"], "as_": None})),
        (True, written(tool="sum_up", arguments={"parts": "$a", "as_": "yes"})),
        (True, written(tool="stop", arguments={})),
        (False, written(tool="search", arguments={"query": "a", "limit": "many"})),
        (False, written(tool="search", arguments={"query": None, "limit": 3})),
        (False, written(tool="search", arguments={"limit": 3})),
        (False, written(tool="sum_up", arguments={"parts": ["a"], "as_": None})),
        (False, written(tool="stop", arguments={"query": "a"})),
        (False, written(tool="draw", arguments={"query": "a", "limit": 3})),
        (False, written(tool="remove", arguments={})),
    ],
)
def test_the_schema_of_a_plan_knows_the_parameters_of_each_tool(sound: bool, value: Any) -> None:
    described = wrapped(PLAN, TABLES)
    assert fits({"value": value}, described, described["$defs"]) == sound
    assert closed(described)


@given(st.randoms(use_true_random=False))
def test_simulated_plans_are_sound(chance: Any) -> None:
    operations = {name: Operation("tool", name, parameters, INT) for name, parameters in TABLES.tools.items()}
    for step in read_steps(value_of(PLAN, TABLES, chance), operations):
        for parameter in operations[step.tool].parameters:
            if is_given(step, parameter):
                coercer(parameter.type, TABLES)(step.arguments[parameter.name])


def test_records_are_equal_by_value_and_never_change() -> None:
    point = record_class("Point", ("x", "label"))
    assert point(1.0, "a") == record_class("Point", ("x", "label"))(1.0, "a")
    assert point(1.0, "a") != point(2.0, "a")
    assert point(1.0, "a") != record_class("Pixel", ("x", "label"))(1.0, "a")
    with pytest.raises(AttributeError, match="cannot be changed"):
        point(1.0, "a").x = 2.0
    assert point(numpy.ones(2), "a") == point(numpy.ones(2), "a")


@frozen
class Made:
    x: float
    label: str


class Color(enum.Enum):
    YES = "yes"


@pytest.mark.parametrize(
    "given_value",
    [
        {"x": 1, "label": "a"},
        Made(1, "a"),
        namedtuple("P", "x label")(1, "a"),
        record_class("Point", ("x", "label"))(1, "a"),
    ],
)
def test_a_record_is_made_of_a_dict_or_of_any_object_with_its_fields(given_value: object) -> None:
    made = coercer(Record("Point"), TABLES)(given_value)
    assert made == record_class("Point", ("x", "label"))(1.0, "a")
    assert isinstance(made.x, float)


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (FLOAT, 3, 3.0),
        (INT, 3.0, 3),
        (INT, numpy.int64(3), 3),
        (FLOAT, numpy.float32(0.5), 0.5),
        (BOOL, numpy.bool_(True), True),
        (Enum("Verdict"), Color.YES, "yes"),
        (List(INT), (1, 2), [1, 2]),
        (List(FLOAT), numpy.ones(2), [1.0, 1.0]),
        (Scalar("f32"), 0.1, numpy.float32(0.1)),
        (Scalar("f16"), math.inf, numpy.float16(math.inf)),
        (Array("f32", ("n",)), numpy.array([0.1, -math.inf]), numpy.array([0.1, -math.inf], "float32")),
        (
            Array("f16", ("n",)),
            numpy.array([math.inf], numpy_dtype("bf16")),
            numpy.array([math.inf], "float16"),
        ),
        (Array("f16", ("n",)), [65504], numpy.array([65504], "float16")),
        (Array("f32", ("n",)), numpy.array([], "U1"), numpy.array([], "float32")),
        (Optional(INT), None, None),
        (Dict(FLOAT), {"a": 1}, {"a": 1.0}),
        (JSON, {"a": (1, None)}, {"a": [1, None]}),
        (BYTES, {"$bytes": "aGk="}, b"hi"),
    ],
)
def test_near_values_are_taken(type_: Type, value: object, expected: object) -> None:
    assert equal(coercer(type_, TABLES)(value), expected)


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        (INT, True, "int was expected, not True"),
        (INT, 2.5, "int was expected"),
        (STR, 3, "str was expected"),
        (FLOAT, "3", "float was expected"),
        (Scalar("i8"), 200, "i8"),
        (Enum("Verdict"), "maybe", "a member of Verdict"),
        (List(INT), [1, "2"], "at `[1]` int was expected"),
        (Record("Point"), {"label": "a"}, "Point with `x`"),
        (Record("Point"), {"x": 1, "z": 2}, "Point without `z`"),
        (Record("Point"), {"x": "one"}, "at `x` float was expected"),
        (
            List(Record("Tree")),
            [{"name": "a", "children": [{"name": 1, "children": []}]}],
            "[0].children[0].name",
        ),
        (Array("f32", ("n", 3)), numpy.ones((2, 2)), "f32[n, 3] was expected"),
        (Array("f32", ("n",)), numpy.array(["a"]), "f32[n] was expected"),
        (Array("i8", ("n",)), numpy.array([1, 300]), "i8[n] was expected"),
        (Array("i64", ("n",)), numpy.array([0.5]), "i64[n] was expected"),
        (Array("f32", ("n",)), numpy.array([1.0, 1e300]), "f32[n] was expected"),
        (Array("f16", ("n",)), [1e5], "f16[n] was expected"),
        (Array("f16", ("n",)), [1, 70000], "f16[n] was expected"),
        (Array("f16", ("n",)), numpy.array([1e30], numpy_dtype("bf16")), "f16[n] was expected"),
        (Array("f16", ("n",)), numpy.array([math.inf, 1e30], "float32"), "f16[n] was expected"),
        (Scalar("f32"), -1e300, "f32 was expected"),
        (JSON, {"a": object()}, "at `a` a JSON value was expected"),
        (NONE, 0, "none was expected"),
    ],
)
def test_other_values_are_refused_with_the_place_and_the_wish(type_: Type, value: object, said: str) -> None:
    with pytest.raises(Mismatch) as refused:
        coercer(type_, TABLES)(value)
    assert said in str(refused.value)


def test_arrays_print_in_full_up_to_a_thousand_elements_and_then_as_a_summary() -> None:
    small = to_json(numpy.arange(6, dtype="float32").reshape(2, 3))
    assert small == {"shape": [2, 3], "dtype": "float32", "data": [[0, 1, 2], [3, 4, 5]]}
    large = to_json(numpy.arange(2000))
    assert isinstance(large, dict)
    assert large["summary"] == {"min": 0.0, "max": 1999.0, "mean": 999.5}
    assert "data" not in large


def test_numbers_that_json_lacks_are_printed_as_texts_and_read_again() -> None:
    assert to_json([math.nan, math.inf]) == ["nan", "inf"]
    assert coercer(FLOAT, TABLES)("inf") == math.inf


def test_sizes_are_exact_for_arrays_and_texts() -> None:
    assert size_of(numpy.ones(100, dtype="float32")) == 400
    assert size_of("x" * 100) == 100


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (STR, "3", "3"),
        (INT, "3", 3),
        (FLOAT, "3", 3.0),
        (BOOL, "yes", True),
        (Optional(INT), "none", None),
        (Optional(INT), "4", 4),
        (Enum("Verdict"), "no", "no"),
        (List(STR), '["a"]', ["a"]),
        (JSON, '{"a": 1}', {"a": 1}),
    ],
)
def test_texts_are_read_by_type(type_: Type, text: str, expected: object) -> None:
    assert parse_text(type_, text, TABLES) == expected


def test_an_array_is_read_from_an_npy_file_and_never_from_a_pickle(tmp_path: Path) -> None:
    numpy.save(tmp_path / "a.npy", numpy.ones((2, 3)))
    array = parse_text(Array("f32", ("n", 3)), "a.npy", TABLES, folder=tmp_path)
    assert array.dtype == numpy.float32
    numpy.save(tmp_path / "o.npy", numpy.array([{}], dtype=object), allow_pickle=True)
    for name in ("o.npy", "missing.npy"):
        with pytest.raises(FlowError) as refused:
            parse_text(Array("f32", ("n",)), name, TABLES, folder=tmp_path)
        assert refused.value.problem.code == "E0706"


def test_arguments_that_do_not_fit_are_refused_with_their_name() -> None:
    body = Builder()
    for _ in range(3):
        body.parameter()
    parameters = (
        Parameter("a", Array("f32", ("n",))),
        Parameter("b", Array("f32", ("n",))),
        Parameter("k", INT, 8, True),
    )
    of = plan(body.region(0), *parameters)
    flow = of.functions["main"]
    ones = numpy.ones(2, dtype="float32")
    assert bind_arguments(of, flow, {"a": ones, "b": ones})[2] == 8
    for given_values, code, said in (
        ({"a": ones}, "E0703", "`b`"),
        ({"a": ones, "b": ones, "c": 1}, "E0702", "`c`"),
        ({"a": ones, "b": numpy.ones(3)}, "E0704", "`b`"),
        ({"a": ones, "b": ones, "k": "x"}, "E0704", "`k`"),
    ):
        with pytest.raises(FlowError) as refused:
            bind_arguments(of, flow, given_values)
        assert refused.value.problem.code == code
        assert said in refused.value.problem.message
    with pytest.raises(FlowError, match="E0704"):
        read_text_arguments(of, flow, {"k": "many"})


def test_json_nested_deeper_than_python_can_follow_is_refused() -> None:
    value: object = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(Mismatch, match="JSON nested at most 200 deep was expected"):
        coercer(Scalar("json"), Tables({}, {}))(value)
