"""CUDA C++ of flowc's compiled by the machine's C++ compiler, against a header that stands in for CUDA.

What comes out is a shared library with one function, `flowc_emulated_device(order, seed, bytes)`, which gives
the address of a table as `compiler/backends/cuda/host.py` describes it. It is made for a child process: what
no kernel may do ends the process, with a report on standard error and the status STATUS, and under sanitizers
so does every access outside of memory.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from flowc.runtime import object_cache

STATUS = 70
"""How a process ends in which a kernel did what none may."""
KEPT = 400
"""Libraries that stay in the cache."""
KEPT_HEADERS = 4
"""Headers as the compiler has read them that stay: two, with sanitizers and without, are in use."""

_HEADERS = Path(__file__).parent
_HEADER = "flowc_emulation.h"
_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = (
    "-std=c++17", "-g1", "-fPIC", "-shared", "-w", "-ffp-contract=off", "-DFLOWC_EMULATION",
)  # fmt: skip
_SANITIZERS = (
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)
_RUNTIMES = ("libasan.so", "libclang_rt.asan-x86_64.so", "libclang_rt.asan-aarch64.so")


class EmulationUnavailable(Exception):
    """There is no C++ compiler here, or none with sanitizers."""


class TextRefused(Exception):
    """The C++ compiler does not take a text: flowc's fault. The message is the compiler's."""


def available() -> bool:
    """Whether there is a C++ compiler."""
    return any(map(shutil.which, _COMPILERS))


def folder() -> Path:
    """Where libraries lie, beside the code of kernels."""
    return object_cache.folder().parent / "emulation"


def build(text: str, *, sanitize: bool = True) -> Path:
    """The library of a text, compiled or from the cache.

    Raises EmulationUnavailable where there is no compiler, and TextRefused where it refuses the text.
    """
    level = "-O0" if sanitize else "-O1"  # to optimise what sanitizers add takes longer than to run it slowly
    flags = [*_FLAGS, level, *(_SANITIZERS if sanitize else ())]
    key = hashlib.sha256("\0".join([text, _headers(), _version(), *flags]).encode()).hexdigest()
    where = folder()
    library = where / f"{key}.so"
    with contextlib.suppress(FileNotFoundError):
        os.utime(library)  # so that `_trim` knows what was used last
        return library
    where.mkdir(parents=True, exist_ok=True)
    ahead = _precompiled(where, flags)
    with tempfile.TemporaryDirectory(dir=where) as name:
        source, made = Path(name) / "kernels.cc", Path(name) / "kernels.so"
        source.write_text(text, encoding="utf-8")
        places = [f"-I{ahead}", f"-I{_HEADERS}"]
        _compile([*flags, *places, "-include", _HEADER, str(source), "-o", str(made)])
        made.replace(library)
    _trim(where)
    return library


def _precompiled(where: Path, flags: Sequence[str]) -> Path:
    """A folder where GCC finds the header as it has read it; other compilers leave that alone."""
    key = hashlib.sha256("\0".join([_headers(), _version(), *flags]).encode()).hexdigest()
    folder = where / f"{key[:16]}.headers"
    if not (kept := folder / f"{_HEADER}.gch").exists():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=where) as name:
            made = Path(name) / "header"
            _compile([*flags, "-x", "c++-header", str(_HEADERS / _HEADER), "-o", str(made)])
            made.replace(kept)
    return folder


def environment(*, sanitize: bool = True) -> Mapping[str, str]:
    """The environment of a process that loads such a library: a sanitizer must be there from its start.

    Raises EmulationUnavailable where the compiler has none.
    """
    if not sanitize:
        return dict(os.environ)
    options = f"detect_leaks=0:exitcode={STATUS}:allocator_may_return_null=1:detect_stack_use_after_return=0"
    return os.environ | {
        "LD_PRELOAD": _sanitizer(),
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode={STATUS}",
    }


@cache
def _compiler() -> str:
    for name in _COMPILERS:
        if found := shutil.which(name):
            return found
    raise EmulationUnavailable(f"none of {', '.join(_COMPILERS)} is on the path")


@cache
def _version() -> str:
    return subprocess.run([_compiler(), "--version"], capture_output=True, text=True, check=True).stdout


@cache
def _headers() -> str:
    return "\0".join(path.read_text(encoding="utf-8") for path in sorted(_HEADERS.glob("*.h")))


@cache
def _sanitizer() -> str:
    """The path of the sanitizer's library. Where the compiler has none, it repeats the bare name."""
    for name in _RUNTIMES:
        found = subprocess.run(
            [_compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if Path(found).is_absolute():
            return str(Path(found).resolve())
    raise EmulationUnavailable(f"{_compiler()} has no sanitizer of addresses")


def _compile(arguments: list[str]) -> None:
    done = subprocess.run([_compiler(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TextRefused(done.stderr)


def _trim(folder: Path) -> None:
    """Removes the libraries unused for longest, and leaves as many as are kept; headers as they were too."""
    known = sorted(folder.glob("*.so"), key=_last_used, reverse=True)
    for path in known[KEPT:]:
        path.unlink(missing_ok=True)
    for path in sorted(folder.glob("*.headers"), key=_last_used, reverse=True)[KEPT_HEADERS:]:
        shutil.rmtree(path, ignore_errors=True)


def _last_used(path: Path) -> float:
    """When a library was used last; long ago where another process has removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
