"""What became of a function under `@jit` for certain arguments, and why it was compiled for them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from attrs import evolve

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.driver import room
from flowc.compiler.kernel_report import Report, duration, report, text
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.native import kernel_of
from flowc.compiler.python.specialisation import Specialisation
from flowc.compiler.python.specialise import ArgumentType
from flowc.compiler.stopwatch import shortest


def explain(
    definition: Definition[..., Any],
    names: Sequence[str],
    mode: Mode,
    found: Specialisation,
    known: Iterable[tuple[ArgumentType, ...]],
    arguments: Sequence[Any],
) -> str:
    """What became of a specialisation for arguments, as text; `known` are the types compiled for before."""
    kept = found.taken(arguments)
    with room():
        (kernel,) = kernels_of(kernel_of(definition, tuple(names), found.types, mode))
        layouts = [found.types[position].layout for position in found.kept]
        layouts += ["contiguous"] * len(found.captured)
        made = report(kernel, layouts, mode.level, kept)
    why = reason(names, [types for types in known if types != found.types], found.types)
    source = "compiled" if found.origin == "compiled" else "from the disk cache"
    origin = f"{source} in {duration(found.milliseconds / 1e3)}, for {why}"
    named = evolve(made.signature, name=definition.__name__)
    given = [  # what the function changes is the caller's
        np.array(argument) if parameter.written else argument
        for parameter, argument in zip(found.kernel.signature.params, kept, strict=True)
    ]
    taken = shortest(lambda: found.kernel(*given))
    return text(_as_given(evolve(made, signature=named, origin=origin, measured=taken), found))


def _as_given(made: Report, found: Specialisation) -> Report:
    """The report in terms of the arguments of a call, which the kernel may take transposed."""
    turned = {place for place, position in enumerate(found.kept) if found.types[position].turned}
    layouts = tuple("columns" if place in turned else word for place, word in enumerate(made.layouts))
    parameters = tuple(
        evolve(parameter, dims=parameter.dims[::-1]) if place in turned else parameter
        for place, parameter in enumerate(made.signature.params)
    )
    return evolve(made, layouts=layouts, signature=evolve(made.signature, params=parameters))


def reason(
    names: Sequence[str],
    known: Iterable[tuple[ArgumentType, ...]],
    types: tuple[ArgumentType, ...],
) -> str:
    """Why code was made for these types beside that made before: how they differ from the closest."""
    differences = [_differences(names, before, types) for before in known]
    if not differences:
        return "the first call"
    closest = min(differences, key=len)
    return ", ".join(closest)


def _few(type_: ArgumentType) -> int:
    """The number of elements in a row that code is made for; 0 for any."""
    last = type_.dims[-1] if len(type_.dims) > 1 else 0
    return last if isinstance(last, int) and last > 1 else 0


def _lies(type_: ArgumentType) -> str:
    return "columns" if type_.turned else type_.layout


def _differences(
    names: Sequence[str], before: tuple[ArgumentType, ...], now: tuple[ArgumentType, ...]
) -> list[str]:
    found = []
    for name, old, new in zip(names, before, now, strict=True):
        if old.dtype != new.dtype:
            found.append(f"a new dtype of `{name}`: {new.dtype} after {old.dtype}")
        if len(old.dims) != len(new.dims):
            found.append(f"a new rank of `{name}`: {len(new.dims)} after {len(old.dims)}")
        elif (1 in old.dims or 1 in new.dims) and [d == 1 for d in old.dims] != [d == 1 for d in new.dims]:
            found.append(f"other extents of 1 in `{name}`")
        elif _few(new) != _few(old):
            found.append(f"rows of {f'{_few(new)} elements' if _few(new) else 'any length'} in `{name}`")
        if _lies(old) != _lies(new):
            found.append(f"a new layout of `{name}`: {_lies(new)} after {_lies(old)}")
        if old.value != new.value:
            found.append(f"a new value of `{name}`: {new.value}")
    return found or ["other extents that are equal"]
