"""The types of values: what the checker infers, the plan carries and the edges of a run enforce.

Records and enums are nominal: a type holds the name, the tables of the `Plan` (or of the checked program)
hold the members, so that a record may contain itself. Labels are no part of a type here.
"""

from attrs import frozen

NUMERIC = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8")
"""Element types of arrays that programs can name; `bool` is one too."""


@frozen
class Scalar:
    """`str int float bool bytes none json`, or a numeric scalar such as `f32`."""

    name: str


@frozen
class Array:
    """An n-dimensional array; `dtype` is in NUMERIC or "bool".

    An extent is a number, a dimension's name, or "" where only the run knows it.
    """

    dtype: str
    dims: tuple[int | str, ...]


@frozen
class List:
    """`list[element]`."""

    element: "Type"


@frozen
class Dict:
    """`dict[str, value]`."""

    value: "Type"


@frozen
class Optional:
    """`T?`."""

    inner: "Type"


@frozen
class Tuple:
    """What `zip`, `enumerate`, `.shape` and `topk` give; it cannot be written as a parameter's type.

    Where `names` are given (`topk` gives `values` and `indices`), items can be read by name too.
    """

    items: "tuple[Type, ...]"
    names: tuple[str, ...] = ()


@frozen
class Record:
    """A record by its name."""

    name: str


@frozen
class Enum:
    """An enum by its name. At run time a member is a `str`."""

    name: str


@frozen
class PlanOf:
    """`plan[search, lookup]`: a graph of calls of these tools, written by a model, run by `execute`."""

    tools: tuple[str, ...]


Type = Scalar | Array | List | Dict | Optional | Tuple | Record | Enum | PlanOf

STR = Scalar("str")
INT = Scalar("int")
FLOAT = Scalar("float")
BOOL = Scalar("bool")
BYTES = Scalar("bytes")
NONE = Scalar("none")
JSON = Scalar("json")


def text(type_: Type) -> str:
    """The type as a program writes it."""
    match type_:
        case Scalar(name) | Record(name) | Enum(name):
            return name
        case Array(dtype, dims):
            return f"{dtype}[{', '.join(str(extent) if extent != '' else '?' for extent in dims)}]"
        case List(element):
            return f"list[{text(element)}]"
        case Dict(value):
            return f"dict[str, {text(value)}]"
        case Optional(inner):
            return f"{text(inner)}?"
        case Tuple(items):
            return f"tuple[{', '.join(map(text, items))}]"
        case PlanOf(tools):
            return f"plan[{', '.join(tools)}]"


def to_json(type_: Type) -> object:
    """A plain JSON value that `from_json` reads back."""
    match type_:
        case Scalar(name):
            return name
        case Array(dtype, dims):
            return {"array": dtype, "dims": list(dims)}
        case List(element):
            return {"list": to_json(element)}
        case Dict(value):
            return {"dict": to_json(value)}
        case Optional(inner):
            return {"optional": to_json(inner)}
        case Tuple(items, names):
            written: dict[str, object] = {"tuple": [to_json(item) for item in items]}
            return written | {"names": list(names)} if names else written
        case Record(name):
            return {"record": name}
        case Enum(name):
            return {"enum": name}
        case PlanOf(tools):
            return {"plan": list(tools)}


def from_json(value: object) -> Type:
    """Reads what `to_json` wrote; raises ValueError on anything else."""
    match value:
        case str():
            return Scalar(value)
        case {"array": str(dtype), "dims": list(dims)} if all(type(extent) in (int, str) for extent in dims):
            return Array(dtype, tuple(dims))
        case {"list": element}:
            return List(from_json(element))
        case {"dict": inner}:
            return Dict(from_json(inner))
        case {"optional": inner}:
            return Optional(from_json(inner))
        case {"tuple": list(items), **rest}:
            names = rest.get("names", [])
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                return Tuple(tuple(from_json(item) for item in items), tuple(names))
        case {"record": str(name)}:
            return Record(name)
        case {"enum": str(name)}:
            return Enum(name)
        case {"plan": list(tools)} if all(isinstance(tool, str) for tool in tools):
            return PlanOf(tuple(tools))
    raise ValueError(f"not a type: {value!r}")
