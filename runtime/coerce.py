"""Values crossing an edge: what a tool, a person, a provider or a caller gives becomes a value of its type.

`coercer(type_, tables)` compiles a type once into a plain function, so that the check costs little per
call. It is lenient in form (a dict or any object with the attributes is a record, an `int` serves where a
`float` is wanted) and strict in content: what does not fit raises `Mismatch` with the path to it.
"""

import base64
import enum
import functools
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from flowc.runtime.dtypes import FLOATS, INTEGERS, integer_range, numpy_dtype
from flowc.runtime.plan import Parameter
from flowc.runtime.types import (
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
    text,
)
from flowc.runtime.values import RecordValue, is_array, is_numpy_scalar, record_class

Coercer = Callable[[object], object]


@frozen(eq=False)
class Tables:
    """The records, enums and tools' parameters that types name; compared by identity, for a plan has exactly
    one.
    """

    records: Mapping[str, tuple[tuple[str, Type], ...]]
    enums: Mapping[str, tuple[str, ...]]
    tools: Mapping[str, tuple[Parameter, ...]] = field(factory=dict)


DEEPEST = 200
"""How deep JSON may be nested: far below what Python's own stack can follow."""
LONG = 80
"""Characters of a path that a message shows."""


class Mismatch(ValueError):
    """A value that is not of its type: where in the value, what was wanted, what was there."""

    def __init__(self, wanted: str, found: object, path: str = "") -> None:
        super().__init__(wanted, found, path)
        self.wanted = wanted
        self.found = found
        self.path = path

    def __str__(self) -> str:
        path = self.path.lstrip(".")
        shown = path if len(path) <= LONG else f"{path[: LONG // 2]}...{path[-LONG // 2 :]}"
        place = f"at `{shown}` " if path else ""
        return f"{place}{self.wanted} was expected, not {describe(self.found)}"

    def inside(self, step: str) -> "Mismatch":
        """The same mismatch seen from one level further out."""
        return Mismatch(self.wanted, self.found, step + self.path)


def describe(value: object) -> str:
    """A value in a few words, for messages."""
    try:
        shown = repr(value)
    except (RecursionError, ValueError):  # nested too deeply; an integer of very many digits
        shown = "something very large"
    if is_array(value):
        return f"an array of {value.dtype.name} with shape {value.shape}"
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({type(value).__name__})"


def coercer(type_: Type, tables: Tables) -> Coercer:
    """The function that turns a value from outside into a value of `type_` or raises `Mismatch`."""
    match type_:
        case Scalar(name):
            return _SCALARS[name] if name in _SCALARS else functools.partial(_number, name)
        case Array(dtype, dims):
            return functools.partial(_array, dtype, dims)
        case List(element):
            return functools.partial(_list, coercer(element, tables))
        case Dict(value):
            return functools.partial(_dict, coercer(value, tables))
        case Optional(inner):
            return functools.partial(_optional, coercer(inner, tables))
        case Tuple(items):
            return functools.partial(_tuple, tuple(coercer(item, tables) for item in items))
        case Enum(name):
            return functools.partial(_enum, name, tables.enums[name])
        case Record(name):
            return _RecordCoercer(name, tables)
        case PlanOf():
            return functools.partial(_plan, text(type_))


def _str(value: object) -> object:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    raise Mismatch("str", value)


def _int(value: object) -> object:
    if type(value) is int:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if is_numpy_scalar(value) and value.dtype.kind in "iu":
        return int(value.item())
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise Mismatch("int", value)


def _float(value: object) -> object:
    if type(value) is float:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise Mismatch("float", value) from None
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if is_numpy_scalar(value) and value.dtype.kind != "b":
        return float(value.item())
    raise Mismatch("float", value)


def _bool(value: object) -> object:
    if value is True or value is False:
        return value
    if is_numpy_scalar(value) and value.dtype.kind == "b":
        return bool(value)
    raise Mismatch("bool", value)


def _bytes(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Mapping) and value.keys() == {"$bytes"} and isinstance(value["$bytes"], str):
        try:
            return base64.b64decode(value["$bytes"], validate=True)
        except ValueError:  # of which a wrong length is one, and a letter beyond ASCII another
            raise Mismatch("base64 text", value["$bytes"]) from None
    raise Mismatch("bytes", value)


def _none(value: object) -> object:
    if value is not None:
        raise Mismatch("none", value)
    return None


def _json(value: object, depth: int = 0) -> object:
    """A plain copy: what comes from outside must not be changed behind the run's back."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if depth > DEEPEST:
        raise Mismatch(f"JSON nested at most {DEEPEST} deep", value)
    inner = functools.partial(_json, depth=depth + 1)
    if isinstance(value, list | tuple):
        return [_at(inner, item, f"[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(name): _at(inner, item, f".{name}") for name, item in value.items()}
    if isinstance(value, RecordValue):
        return {name: inner(getattr(value, name)) for name in value.__record_fields__}
    if is_numpy_scalar(value) or is_array(value):
        return inner(value.tolist())
    raise Mismatch("a JSON value", value)


_SCALARS: Mapping[str, Coercer] = {
    "str": _str,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "bytes": _bytes,
    "none": _none,
    "json": _json,
}


def _at(convert: Coercer, value: object, step: str) -> object:
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise mismatch.inside(step) from None


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise Mismatch("a text as key", value)
    return value


def _number(name: str, value: object) -> object:
    """A numeric scalar such as `f32`: held as a NumPy scalar, which rounds as the dtype does."""
    import numpy

    if is_array(value) and value.ndim == 0:
        value = value[()]
    if name in INTEGERS:
        whole = _int(value)
        low, high = integer_range(name)
        if isinstance(whole, int) and not low <= whole <= high:
            raise Mismatch(f"{name} ({'at least 0 and ' if low == 0 else ''}at most {high})", value)
        return numpy_dtype(name).type(whole)
    return _with_dtype(name, numpy.asarray(_float(value)), name, value)[()]


def _array(name: str, dims: tuple[int | str, ...], value: object) -> object:
    import numpy

    wanted = text(Array(name, dims))
    try:
        if isinstance(value, Mapping) and {"data", "shape"} <= value.keys():
            given: Any = numpy.asarray(value["data"]).reshape(value["shape"])
        else:
            given = numpy.asarray(value)
    except (OverflowError, TypeError, ValueError):
        raise Mismatch(wanted, value) from None
    given = _with_dtype(name, given, wanted, value)
    if given.ndim != len(dims):
        raise Mismatch(wanted, given)
    for extent, dim in zip(given.shape, dims, strict=True):
        if isinstance(dim, int) and extent != dim:
            raise Mismatch(wanted, given)
    return given


def _with_dtype(name: str, given: Any, wanted: str, value: object) -> Any:
    """Converts within a kind of numbers and from whole to broken ones, which are rounded to the dtype; what
    would lose an integer, or a number beyond the dtype, is refused.
    """
    target = numpy_dtype(name)
    if given.dtype == target:
        return given
    kind = "f" if given.dtype.name == "bfloat16" else given.dtype.kind
    allowed = "b" if name == "bool" else "iu" if name in INTEGERS else "iuf"
    if given.size and kind not in allowed:
        raise Mismatch(wanted, value)
    if given.size and name in INTEGERS:
        low, high = integer_range(name)
        if not low <= given.min() <= given.max() <= high:
            raise Mismatch(wanted, value)
    if given.size and name in FLOATS:
        return _rounded(given, target, wanted, value)
    return given.astype(target)


def _rounded(given: Any, target: Any, wanted: str, value: object) -> Any:
    """Numbers as floats of a dtype; raises Mismatch where a number would become infinite."""
    import numpy

    with numpy.errstate(over="ignore"):
        made = given.astype(target)
    if (numpy.isinf(made) & ~numpy.isinf(given)).any():
        raise Mismatch(wanted, value)
    return made


def _list(convert: Coercer, value: object) -> object:
    if not isinstance(value, list | tuple) and not (is_array(value) and value.ndim):
        raise Mismatch("a list", value)
    try:
        return [convert(item) for item in value]
    except Mismatch:
        return [_at(convert, item, f"[{index}]") for index, item in enumerate(value)]


def _dict(convert: Coercer, value: object) -> object:
    if not isinstance(value, Mapping):
        raise Mismatch("a dict", value)
    return {_key(name): _at(convert, item, f".{name}") for name, item in value.items()}


def _optional(convert: Coercer, value: object) -> object:
    return None if value is None else convert(value)


def _tuple(converts: tuple[Coercer, ...], value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(converts):
        raise Mismatch(f"{len(converts)} values", value)
    return tuple(
        _at(convert, item, f"[{index}]")
        for index, (convert, item) in enumerate(zip(converts, value, strict=True))
    )


def _enum(name: str, members: tuple[str, ...], value: object) -> object:
    if isinstance(value, enum.Enum):
        value = value.name if value.name in members else value.value
    if isinstance(value, str) and value in members:
        return value
    raise Mismatch(f"a member of {name} ({', '.join(members)})", value)


def _plan(wanted: str, value: object) -> object:
    """Form only; `execute` checks a plan's steps against its tools before it runs the first of them."""
    plain = _json(value)
    if isinstance(plain, dict) and isinstance(plain.get("steps"), list):
        return plain
    raise Mismatch(f"{wanted}, an object with `steps`,", value)


class _RecordCoercer:
    """Converts to one record. The fields' coercers are made on first use, since a record may contain
    itself.
    """

    def __init__(self, name: str, tables: Tables) -> None:
        fields = tables.records[name]
        self.name = name
        self.tables = tables
        self.names = tuple(field for field, _ in fields)
        self.types = tuple(type_ for _, type_ in fields)
        self.optional = tuple(isinstance(type_, Optional) for type_ in self.types)
        self.make = record_class(name, self.names)
        self.converts: tuple[Coercer, ...] | None = None

    def __call__(self, value: object) -> object:
        if self.converts is None:
            self.converts = tuple(coercer(type_, self.tables) for type_ in self.types)
        if isinstance(value, Mapping):
            if unknown := value.keys() - set(self.names):
                raise Mismatch(f"{self.name} without `{sorted(map(str, unknown))[0]}`", value)
            given = [self._member(value, index) for index in range(len(self.names))]
        elif isinstance(value, str | int | float | list | tuple | bytes) and not hasattr(value, "_fields"):
            raise Mismatch(self.name, value)
        else:
            given = [self._attribute(value, index) for index in range(len(self.names))]
        return self.make(*map(self._convert, self.names, self.converts, given))

    @staticmethod
    def _convert(name: str, convert: Coercer, value: object) -> object:
        try:
            return convert(value)
        except Mismatch as mismatch:
            raise mismatch.inside(f".{name}") from None

    def _member(self, value: Mapping[str, object], index: int) -> object:
        name = self.names[index]
        if name not in value and not self.optional[index]:
            raise Mismatch(f"{self.name} with `{name}`", value)
        return value.get(name)

    def _attribute(self, value: object, index: int) -> object:
        name = self.names[index]
        if not hasattr(value, name) and not self.optional[index]:
            raise Mismatch(f"{self.name} with `{name}`", value)
        return getattr(value, name, None)


def bind_extents(type_: Type, value: object, bound: dict[str, int], name: str) -> None:
    """Unifies the named dimensions of an argument with those already bound; raises `Mismatch` where they
    differ.
    """
    if isinstance(type_, Array) and is_array(value):
        for dim, extent in zip(type_.dims, value.shape, strict=True):
            if isinstance(dim, str) and bound.setdefault(dim, extent) != extent:
                raise Mismatch(f"{text(type_)} with {dim}={bound[dim]}", value, name)
