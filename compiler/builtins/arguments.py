"""What the rules of several built-ins ask of their arguments."""

from flowc.compiler.builtins.dtypes import array, is_number
from flowc.compiler.builtins.model import Given, RuleError
from flowc.runtime.types import STR, Array, Dict, List, Optional, PlanOf, Scalar, Tuple, Type, text


def list_type(type_: Type) -> List | None:
    """The list that a value is taken for where a list is wanted; an array gives the list of its rows."""
    match type_:
        case List():
            return type_
        case Array(name, dims):
            return List(array(name, dims[1:]))
    return None


def want_list(given: Given, name: str, index: int = 0) -> tuple[Type, dict[int, Type]]:
    """The element type of a list argument, and the conversion it needs; raises RuleError E0105."""
    found = list_type(given.types[index])
    if found is None:
        raise RuleError("E0105", f"`{name}` takes a list, not `{text(given.types[index])}`", argument=index)
    return found.element, ({} if found == given.types[index] else {index: found})


def is_ordered(type_: Type) -> bool:
    """Whether `<` is defined between values of the type."""
    match type_:
        case Tuple(items):
            return all(map(is_ordered, items))
        case Scalar():
            return is_number(type_) or type_ == STR
    return False


def is_text(type_: Type) -> bool:
    """Whether a value has a form in a text: all but arrays, bytes and plans."""
    match type_:
        case Scalar("bytes"):
            return False
        case List(element):
            return is_text(element)
        case Dict(value):
            return is_text(value)
        case Optional(inner):
            return is_text(inner)
        case Tuple(items):
            return all(map(is_text, items))
        case Array() | PlanOf():
            return False
    return True


def want_rank(type_: Type, name: str, index: int = 0) -> Array:
    """An argument that must be an array; raises RuleError E0203."""
    if not isinstance(type_, Array):
        raise RuleError("E0203", f"`{name}` needs an array, not `{text(type_)}`", argument=index)
    return type_


def integer(given: Given, name: str, default: int) -> int:
    """The value of a fixed whole-number parameter; raises RuleError E0148."""
    value = given.values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RuleError("E0148", f"`{name}` must be a whole number that stands in the program")
    return value


def flag(given: Given, name: str) -> bool:
    """The value of a fixed true-or-false parameter; raises RuleError E0148."""
    value = given.values.get(name, False)
    if not isinstance(value, bool):
        raise RuleError("E0148", f"`{name}` must be `true` or `false`")
    return value
