"""Built-ins over lists, dicts and json, and the votes that agentic programs take."""

from flowc.compiler.builtins.arguments import is_ordered, is_text, want_list
from flowc.compiler.builtins.dtypes import INTEGERS, dtype
from flowc.compiler.builtins.model import Builtin, Given, Outcome, Rule, RuleError, fixed, optional, required
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
    text,
)

LISTS = "Lists"
DICTS = "Dicts and json"
MODELS = "Models"


def _length(given: Given) -> Outcome:
    match given.types[0]:
        case Array():
            return Outcome(INT, "shape", "len")
        case List() | Dict() | Tuple() | Scalar("str" | "bytes" | "json"):
            return Outcome(INT, "apply", "len")
    raise RuleError("E0105", f"a value of `{text(given.types[0])}` has no length", argument=0)


def _range(given: Given) -> Outcome:
    if len(given.types) > 3:
        raise RuleError("E0116", "`range` takes a stop, or a start, a stop and a step", argument=3)
    for index, type_ in enumerate(given.types):
        if dtype(type_) not in INTEGERS or isinstance(type_, Array):
            raise RuleError("E0105", f"`range` counts in `int`, not `{text(type_)}`", argument=index)
    return Outcome(
        List(INT), "apply", "range", coercions={i: INT for i, each in enumerate(given.types) if each != INT}
    )


def _sorted(given: Given) -> Outcome:
    element, coercions = want_list(given, "sorted")
    key = element
    if "by" in given.present:
        key = _sort_field(given, element)
    if not is_ordered(key):
        hint = 'name the field to sort by: `sorted(xs, by="score")`' if isinstance(element, Record) else ""
        raise RuleError("E0109", f"values of `{text(key)}` have no order", help=hint, argument=0)
    return Outcome(List(element), "apply", "sorted", coercions=coercions)


def _sort_field(given: Given, element: Type) -> Type:
    name = given.values.get("by")
    if not isinstance(element, Record):
        raise RuleError("E0117", f"`by` sorts records, not `{text(element)}`", argument=1)
    if not isinstance(name, str):
        raise RuleError("E0148", "`by` must be the name of a field, in quotes", argument=1)
    fields = given.fields[element.name]
    if name not in fields:
        known = ", ".join(f"`{each}`" for each in fields)
        raise RuleError(
            "E0111", f"`{element.name}` has no field `{name}`", help=f"its fields are {known}", argument=1
        )
    return fields[name]


def _same_list(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        element, coercions = want_list(given, name)
        return Outcome(List(element), "apply", name, coercions=coercions)

    return rule


def _element(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        element, coercions = want_list(given, name)
        return Outcome(element, "apply", name, coercions=coercions)

    return rule


def _zip(given: Given) -> Outcome:
    elements, coercions = [], {}
    for index in range(len(given.types)):
        element, needed = want_list(given, "zip", index)
        elements.append(element)
        coercions.update(needed)
    return Outcome(List(Tuple(tuple(elements))), "apply", "zip", coercions=coercions)


def _enumerate(given: Given) -> Outcome:
    element, coercions = want_list(given, "enumerate")
    return Outcome(List(Tuple((INT, element))), "apply", "enumerate", coercions=coercions)


def _append(given: Given) -> Outcome:
    element, coercions = want_list(given, "append")
    common = given.join(element, given.types[1])
    if common is None:
        message = f"a list of `{text(element)}` takes no `{text(given.types[1])}`"
        raise RuleError("E0121", message, argument=1)
    if given.types[1] != common:
        coercions[1] = common
    if element != common:
        coercions[0] = List(common)
    return Outcome(List(common), "apply", "append", coercions=coercions)


def _flatten(given: Given) -> Outcome:
    element, coercions = want_list(given, "flatten")
    if not isinstance(element, List):
        raise RuleError("E0105", f"`flatten` takes a list of lists, not `{text(given.types[0])}`", argument=0)
    return Outcome(element, "apply", "flatten", coercions=coercions)


def _search(name: str, result: Type) -> Rule:
    def rule(given: Given) -> Outcome:
        if given.types[0] == STR and name != "index":
            if given.types[1] != STR:
                raise RuleError(
                    "E0105", f"`{name}` looks for a `str`, not `{text(given.types[1])}`", argument=1
                )
            return Outcome(result, "apply", name)
        element, coercions = want_list(given, name)
        if given.join(element, given.types[1]) is None:
            message = f"a list of `{text(element)}` never holds a `{text(given.types[1])}`"
            raise RuleError("E0110", message, argument=1)
        return Outcome(result, "apply", name, coercions=coercions)

    return rule


def _agreement(given: Given) -> Outcome:
    _, coercions = want_list(given, "agreement")
    return Outcome(FLOAT, "apply", "agreement", coercions=coercions)


def _dict(given: Given, name: str) -> Type:
    match given.types[0]:
        case Dict(value):
            return value
        case Scalar("json"):
            return JSON
    raise RuleError("E0105", f"`{name}` takes a dict, not `{text(given.types[0])}`", argument=0)


def _keys(given: Given) -> Outcome:
    _dict(given, "keys")
    return Outcome(List(STR), "apply", "keys")


def _values(given: Given) -> Outcome:
    return Outcome(List(_dict(given, "values")), "apply", "values")


def _items(given: Given) -> Outcome:
    return Outcome(List(Tuple((STR, _dict(given, "items")))), "apply", "items")


def _get(given: Given) -> Outcome:
    if isinstance(given.types[0], Optional):
        return _get_optional(given.types[0])
    value = _dict(given, "get")
    if "default" not in given.present:
        result = value if isinstance(value, Optional) or value == JSON else Optional(value)
        return Outcome(result, "apply", "get")
    common = given.join(value, given.types[2])
    if common is None:
        message = f"the default is `{text(given.types[2])}`, the dict holds `{text(value)}`"
        raise RuleError("E0105", message, argument=2)
    return Outcome(common, "apply", "get", coercions={2: common} if given.types[2] != common else {})


def _get_optional(source: Optional) -> Outcome:
    raise RuleError(
        "E0120",
        f"the dict is optional: `{text(source)}`",
        why="there may be none at all",
        help="test it first: `if d is none: ...`",
        argument=0,
    )


def _or_else(given: Given) -> Outcome:
    source, default = given.types
    inner = source.inner if isinstance(source, Optional) else source
    if inner == NONE:
        return Outcome(default, "apply", "or_else")
    common = given.join(inner, default)
    if common is None:
        raise RuleError("E0105", f"the default is `{text(default)}`, the value `{text(inner)}`", argument=1)
    return Outcome(common, "apply", "or_else", coercions={1: common} if default != common else {})


def _put(given: Given) -> Outcome:
    value = _dict(given, "put")
    common = given.join(value, given.types[2])
    if common is None:
        raise RuleError("E0121", f"a dict of `{text(value)}` takes no `{text(given.types[2])}`", argument=2)
    coercions: dict[int, Type] = {2: common} if given.types[2] != common else {}
    return Outcome(given.types[0] if value == JSON else Dict(common), "apply", "put", coercions=coercions)


def _elements(given: Given) -> Outcome:
    if given.types[0] != JSON:
        raise RuleError("E0105", f"`elements` takes json, not `{text(given.types[0])}`", argument=0)
    return Outcome(List(JSON), "apply", "elements")


def _parse_json(given: Given) -> Outcome:
    return Outcome(JSON, "apply", "parse_json")


def _to_json(given: Given) -> Outcome:
    if not is_text(given.types[0]):
        raise RuleError("E0137", f"a value of `{text(given.types[0])}` has no json form", argument=0)
    return Outcome(JSON, "apply", "to_json")


def _embed(given: Given) -> Outcome:
    options = {"model": given.values["model"]} if given.values.get("model") is not None else {}
    return Outcome(Array("f32", ("", "")), "embed", "embed", options)


def _over_list(name: str, rule: Rule, documentation: str, *more: str) -> Builtin:
    parameters = (required("values"), *map(required, more))
    return Builtin(name, parameters, rule, documentation, LISTS, method=True)


def _over_dict(name: str, rule: Rule, documentation: str) -> Builtin:
    return Builtin(name, (required("values"),), rule, documentation, DICTS, method=True)


BUILTINS = (
    _over_list("len", _length, "How many elements, characters, keys or rows."),
    Builtin("range", (required("bounds"),), _range,
            "The whole numbers below a stop, or from a start, in steps.", LISTS, variadic=True),
    Builtin("sorted",
            (required("values"), optional("by", None, STR), optional("reverse", False, BOOL)), _sorted,
            "In rising order, equal ones as they stood; records by a field.", LISTS, method=True),
    _over_list("reversed", _same_list("reversed"), "From the last to the first."),
    Builtin("zip", (required("lists"),), _zip,
            "Tuples of elements side by side, as many as the shortest list has.", LISTS, variadic=True),
    _over_list("enumerate", _enumerate, "Pairs of a position, from 0, and an element."),
    _over_list("append", _append, "A new list with one more element at the end.", "value"),
    _over_list("flatten", _flatten, "The lists of a list, one after the other."),
    _over_list("unique", _same_list("unique"), "Each element once, in the order of first appearance."),
    _over_list("first", _element("first"), "The first element; an empty list fails the run."),
    _over_list("last", _element("last"), "The last element; an empty list fails the run."),
    _over_list("count", _search("count", INT), "How often the value occurs.", "value"),
    _over_list("index", _search("index", INT),
               "The position of the value; a list without it fails the run.", "value"),
    _over_list("contains", _search("contains", BOOL),
               "Whether the value occurs; the same as `value in values`.", "value"),
    _over_list("majority", _element("majority"), "The most common element; of equal ones the first."),
    _over_list("agreement", _agreement, "The share of the most common element, from 0 to 1."),
    _over_dict("keys", _keys, "The keys, in order."),
    _over_dict("values", _values, "The values, in the order of the keys."),
    _over_dict("items", _items, "Pairs of a key and a value."),
    Builtin("get", (required("values"), required("key", STR), optional("default", None)), _get,
            "The value of a key, else the default, else none.", DICTS, method=True),
    Builtin("put", (required("values"), required("key", STR), required("value")), _put,
            "A new dict in which the key has the value.", DICTS, method=True),
    Builtin("or_else", (required("value"), required("default")), _or_else,
            "The value of a `T?`, or the default where there is none.", DICTS, method=True),
    Builtin("parse_json", (required("text", STR),), _parse_json,
            "The json that a text writes; any other text fails the run.", DICTS, method=True),
    Builtin("to_json", (required("value"),), _to_json, "The value as json.", DICTS, method=True),
    Builtin("elements", (required("value"),), _elements, "The elements of a json array.", DICTS, method=True),
    Builtin("embed", (required("texts", List(STR)), fixed("model", None)), _embed,
            "One embedding vector a text, as the rows of an array.", MODELS, effect="llm"),
)  # fmt: skip
