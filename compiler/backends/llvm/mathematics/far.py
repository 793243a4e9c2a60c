"""What lanes cannot do: sin, cos and tan whose reduction needs hundreds of bits of pi, and remainders of
quotients with more bits than a number has.

Such elements go to the C library one at a time, by `NAME_far(arguments, near, measure)`: the library's value
where the measure reaches the limit, and `near`, which was computed in lanes, elsewhere. The function names
vector forms of itself in the way of LLVM's vector function ABI, so that the loop vectoriser takes them in
place of a call a lane; each tests all its lanes at once and does nothing more where none is beyond.
"""

LIMITS = {
    "sin_far": {"f32": 1e5, "f64": 1e12},
    "cos_far": {"f32": 1e5, "f64": 1e12},
    "tan_far": {"f32": 1e5, "f64": 1e12},
    "fmod_far": {"f32": 2.0**22, "f64": 2.0**51},
}
_ARGUMENTS = {"fmod_far": ("%x", "%y")}
_TYPES = {"f32": "float", "f64": "double"}


def far(name: str, suffix: str, vector_bits: int, attributes: str) -> tuple[list[str], set[str], list[str]]:
    """The text of such a function and its vector forms, what they declare, and the names that must stay."""
    type_, full = _TYPES[suffix], f"flowc.{name}.{suffix}"
    arguments = _ARGUMENTS.get(name, ("%x",))
    # As many lanes as a vector has of this type, or of f64, which may stand beside it.
    counts = sorted({vector_bits // width for width in ((32, 64) if suffix == "f32" else (64,))})
    forms = {lanes: f"{full}.x{lanes}" for lanes in counts}
    shape = "v" * (len(arguments) + 2)
    variants = ",".join(f"_ZGV_LLVM_N{lanes}{shape}_{full}({form})" for lanes, form in forms.items())
    texts = [
        _scalar(full, name, suffix, f'{attributes} "vector-function-abi-variant"="{variants}"'),
        # The lanes have a copy of their own: one with vector forms would be made vectors of again.
        _scalar(f"{full}.lane", name, suffix, attributes),
        *(_lanes(full, name, suffix, lanes, attributes) for lanes in counts),
    ]
    declared = {f"declare {type_} @{_library(name, suffix)}({', '.join([type_] * len(arguments))})"}
    return texts, declared, [full, *forms.values()]


def _library(name: str, suffix: str) -> str:
    return name.removesuffix("_far") + ("f" if suffix == "f32" else "")


def _typed(type_: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{type_} {name}" for name in names)


def _scalar(full: str, name: str, suffix: str, attributes: str) -> str:
    type_, arguments = _TYPES[suffix], _ARGUMENTS.get(name, ("%x",))
    parameters = _typed(type_, (*arguments, "%near", "%measure"))
    return f"""\
define internal {type_} @{full}({parameters}) noinline memory(none) willreturn {attributes} {{
  %far = fcmp oge {type_} %measure, {LIMITS[name][suffix]:.1f}
  br i1 %far, label %library, label %end
library:
  %exact = call {type_} @{_library(name, suffix)}({_typed(type_, arguments)}) memory(none) nounwind willreturn
  ret {type_} %exact
end:
  ret {type_} %near
}}"""


def _lanes(full: str, name: str, suffix: str, lanes: int, attributes: str) -> str:
    element, arguments = _TYPES[suffix], _ARGUMENTS.get(name, ("%x",))
    vector = f"<{lanes} x {element}>"
    limit = _typed(element, (f"{LIMITS[name][suffix]:.1f}",) * lanes)
    taken = "\n".join(
        f"  {argument}.lane = extractelement {vector} {argument}, i64 %i"
        for argument in (*arguments, "%measure")
    )
    given = _typed(element, (*(f"{argument}.lane" for argument in arguments), "%kept", "%measure.lane"))
    return f"""\
define internal {vector} @{full}.x{lanes}({_typed(vector, (*arguments, "%near", "%measure"))}) \
noinline minsize optsize memory(none) willreturn {attributes} {{
  %far = fcmp oge {vector} %measure, <{limit}>
  %pattern = bitcast <{lanes} x i1> %far to i{lanes}
  %none = icmp eq i{lanes} %pattern, 0
  br i1 %none, label %end, label %lane
lane:
  %i = phi i64 [ 0, %0 ], [ %next, %lane ]
  %sofar = phi {vector} [ %near, %0 ], [ %new, %lane ]
{taken}
  %kept = extractelement {vector} %sofar, i64 %i
  %value = call {element} @{full}.lane({given})
  %new = insertelement {vector} %sofar, {element} %value, i64 %i
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {lanes}
  br i1 %more, label %lane, label %end
end:
  %result = phi {vector} [ %near, %0 ], [ %new, %lane ]
  ret {vector} %result
}}"""
