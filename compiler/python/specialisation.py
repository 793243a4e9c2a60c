"""Native code of functions under `@jit`: from the disk cache by what a function is, else compiled."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from flowc.compiler.build import build_id
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.facts import NeedsFacts, facts_from_json, facts_to_json
from flowc.compiler.python.fingerprint import fingerprint_with_arrays, is_current
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.specialise import ArgumentType
from flowc.compiler.python.structure import (
    PYTHON,
    Cut,
    Result,
    Structure,
    assemble,
    cut,
    is_plain,
    structure_from_json,
    structure_to_json,
)
from flowc.passes.cost.fingerprint import fingerprint
from flowc.runtime import object_cache, processor
from flowc.runtime.dtypes import integer_range, numpy_dtype
from flowc.runtime.errors import fail
from flowc.runtime.kernels import Kernel, KernelSignature, load, signature_from_json, signature_to_json

if TYPE_CHECKING:
    from flowc.runtime.device.kernel import DeviceKernel


@frozen
class Specialisation:
    """Native code of a function for arguments of certain types; `kept` are those that it takes at all,
    `captured` the arrays of the world around the function that it takes after them.

    `structure` says how the function's result is put together from the kernel's. `origin` says where the code
    came from: "compiled", or "cache" for the disk. `limits` are the arguments that must fit in a dtype, with
    it.
    """

    types: tuple[ArgumentType, ...]
    kernel: "Kernel | DeviceKernel"
    kept: tuple[int, ...]
    structure: Structure
    captured: tuple[Any, ...]
    origin: str
    milliseconds: float = field(eq=False)
    limits: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the kernel takes the arguments as they come and gives what the function returns."""
        turned = any(type_.turned for type_ in self.types)
        return is_plain(self.structure) and not self.captured and not self.limits and not turned

    def taken(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """What the kernel takes of the arguments of a call."""
        types = self.types
        kept = [arguments[n].T if types[n].turned else arguments[n] for n in self.kept]
        return (*kept, *self.captured)

    def check(self, names: Sequence[str], arguments: Sequence[Any]) -> None:
        """Raises FlowError for a whole number that has no place in the dtype that it is to become."""
        for name, dtype in self.limits:
            value, (low, high) = arguments[names.index(name)], integer_range(dtype)
            if not low <= value <= high:
                raise fail(
                    "E0755",
                    f"argument `{name}` of `{self.kernel.signature.name}` does not fit in {dtype}",
                    why=f"it is {value}, and stands beside elements of {numpy_dtype(dtype)}",
                    help=f"give a number between {low} and {high}, or convert the array first",
                )

    def finished(self, result: Any, names: Sequence[str], arguments: Sequence[Any]) -> Any:
        """What the function returns, from what the kernel returned."""
        structure = self.structure
        if type(structure) is Result and type(result) is not tuple and not structure.axes:
            return PYTHON[structure.weak](result) if structure.weak else result
        if type(structure) is Cut:
            return cut(structure, result)
        if is_plain(structure):
            return result
        results = result if isinstance(result, tuple) else (result,)
        return assemble(structure, results, dict(zip(names, arguments, strict=True)))


def specialise(
    definition: Definition[..., Any], names: tuple[str, ...], types: tuple[ArgumentType, ...], mode: Mode
) -> Specialisation:
    """The native code of a function for such arguments.

    Raises CompileError where there can be none, NeedsFacts where more must be known of the arguments.
    """
    start = time.perf_counter()
    key, arrays = _key(definition, types, mode)
    data = object_cache.read(key) if key is not None else None
    made = _unpacked(data, arrays) if data is not None else None
    origin = "compiled" if made is None else "cache"
    made = made or _compiled(definition, names, types, mode, key, arrays)
    kernel = load(made.code, [made.signature])[made.signature.name]
    kept = tuple(position for position, type_ in enumerate(types) if not type_.known)
    took = (time.perf_counter() - start) * 1e3
    return Specialisation(types, kernel, kept, made.structure, made.captured, origin, took, made.limits)


@frozen
class _Made:
    """What the compiler makes of a function, and the disk keeps."""

    signature: KernelSignature
    structure: Structure
    limits: tuple[tuple[str, str], ...]
    code: bytes
    captured: tuple[Any, ...] = ()


def _compiled(
    definition: Definition[..., Any],
    names: tuple[str, ...],
    types: tuple[ArgumentType, ...],
    mode: Mode,
    key: str | None,
    arrays: Sequence[Any],
) -> _Made:
    """Compiles, and keeps on disk what came out, were it only what must be known besides.

    A function that has no lasting key is found again by the text of its kernel, which takes longer to make.
    """
    from flowc.compiler.python.native import compile_native

    lasting = key if key is not None and is_current(definition.function) else None
    try:
        compiled = compile_native(definition, names, types, mode, cached=lasting is None)
    except NeedsFacts as needed:
        _keep(lasting, {"facts": facts_to_json(needed.facts)}, b"")
        raise
    (signature,), built = compiled.code.signatures, compiled.built
    made = _Made(signature, built.structure, built.limits, compiled.code.object_code, built.captured)
    try:
        head = {
            "signature": signature_to_json(signature),
            "structure": structure_to_json(made.structure),
            "limits": made.limits,
            "captured": [_place(array, arrays) for array in made.captured],
        }
    except TypeError:
        return made
    _keep(lasting, head, made.code)
    return made


def _place(array: Any, arrays: Sequence[Any]) -> int:
    """Which of the arrays that a function refers to this is; raises TypeError for none of them."""
    for place, each in enumerate(arrays):
        if each is array:
            return place
    raise TypeError("the array is not found from the function")


def _keep(key: str | None, head: Mapping[str, Any], code: bytes) -> None:
    if key is not None:
        text = json.dumps(head).encode()
        object_cache.write(key, len(text).to_bytes(8, "little") + text + code)


def _unpacked(data: bytes, arrays: Sequence[Any]) -> _Made | None:
    """What the disk kept, with the arrays that the function refers to; None where it is something else.
    Raises NeedsFacts where only that was kept."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        head = json.loads(data[8:end])
        if "facts" not in head:
            limits = tuple((str(name), str(dtype)) for name, dtype in head["limits"])
            signature = signature_from_json(head["signature"])
            captured = tuple(arrays[int(place)] for place in head["captured"])
            return _Made(signature, structure_from_json(head["structure"]), limits, data[end:], captured)
        facts = facts_from_json(head["facts"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    raise NeedsFacts(facts)


def _key(
    definition: Definition[..., Any], types: tuple[ArgumentType, ...], mode: Mode
) -> tuple[str | None, Sequence[Any]]:
    """The key of the code by what is known before anything is parsed, None where that is too little; and the
    arrays that the function refers to."""
    found = fingerprint_with_arrays(definition.function)
    if found is None:
        return None, ()
    function, arrays = found
    target = processor.host()
    kinds = [[t.dtype, t.dims, repr(t.value), t.layout, t.known, t.same, t.least, t.turned] for t in types]
    options = [mode.level, mode.precise, mode.reproducible, mode.in_rows, fingerprint()]
    parts = [function, kinds, *options, target.cpu, target.features]
    return hashlib.sha256(json.dumps([*parts, build_id()]).encode()).hexdigest(), arrays
