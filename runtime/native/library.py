"""The functions of `pool.ll` and its neighbours: compiled once, mapped into the process for good."""

import ctypes
import hashlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from flowc.runtime import object_cache
from flowc.runtime.native.linking import link
from flowc.runtime.native.width import threads
from flowc.runtime.processor import host

_PARTS = ("pool.ll", "placing.ll", "unplaced.ll", "arena.ll", "forest.ll", "source.py")
"""The files that the library is made from, next to this one."""


class Library(NamedTuple):
    """The native functions, by what they do; `addresses` has all of them by their names, for other code."""

    threads: Callable[[], int]
    set_threads: Callable[[int], None]
    allocate: Callable[[int], int | None]
    free: Callable[[int, int], None]
    trim: Callable[[], None]
    forest: Callable[[int, int, int, int, int, int, int], None]
    addresses: Mapping[str, int]


_signatures: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "flowc_parallel": (None, (ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3)),
    "flowc_threads": (ctypes.c_int64, ()),
    "flowc_set_threads": (None, (ctypes.c_int64,)),
    "flowc_reset_pool": (None, ()),
    "flowc_allocate": (ctypes.c_void_p, (ctypes.c_int64,)),
    "flowc_free": (None, (ctypes.c_void_p, ctypes.c_int64)),
    "flowc_trim": (None, ()),
    "flowc_reset_arena": (None, ()),
    "flowc_forest": (None, (*[ctypes.c_void_p] * 5, ctypes.c_int64, ctypes.c_void_p)),
}


def loaded() -> bool:
    """Whether the library is in the process already."""
    return _library.cache_info().currsize > 0


def library() -> Library:
    """The library, the same in every call; code that is mapped afterwards finds its functions by name."""
    if loaded():
        return _library()
    with _loading:
        return _library()


_loading = Lock()


@cache
def _library() -> Library:
    width = threads()
    addresses = _mapped(_object_code())
    functions = {
        name: ctypes.CFUNCTYPE(result, *parameters)(addresses[name])
        for name, (result, parameters) in _signatures.items()
    }
    functions["flowc_reset_pool"]()
    functions["flowc_set_threads"](width)
    for name in ("flowc_reset_pool", "flowc_reset_arena"):
        _call_in_forked_children(addresses[name], functions[name])
    return Library(
        threads=functions["flowc_threads"],
        set_threads=functions["flowc_set_threads"],
        allocate=functions["flowc_allocate"],
        free=functions["flowc_free"],
        trim=functions["flowc_trim"],
        forest=functions["flowc_forest"],
        addresses=addresses,
    )


def _object_code() -> bytes:
    """The object code, from the disk cache or compiled now."""
    import llvmlite

    triple = host().triple
    key = hashlib.sha256(f"{triple}, llvmlite {llvmlite.__version__}".encode())
    for part in _PARTS:
        key.update(Path(__file__).with_name(part).read_bytes())
    found = object_cache.read(key.hexdigest())
    if found is None:
        from flowc.runtime.native.source import compiled

        found = compiled(triple)
        object_cache.write(key.hexdigest(), found)
    return found


def _mapped(code: bytes) -> Mapping[str, int]:
    """Maps the object code and gives the addresses of its functions.

    Nothing ever unmaps it: workers sleep in it until the process ends, later than Python does.
    """
    found = link(code, _signatures, {})
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found.memory))
    return found.addresses


def _call_in_forked_children(address: int, function: Callable[[], None]) -> None:
    """Has the C library call a function after each fork, or Python after each of its own."""
    try:
        register = ctypes.CDLL(None).__register_atfork
    except AttributeError:
        os.register_at_fork(after_in_child=function)
    else:
        register(None, None, ctypes.c_void_p(address), None)
