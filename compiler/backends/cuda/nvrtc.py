"""CUDA C++ to machine code of GPUs, by NVIDIA's run-time compiler, which needs neither GPU nor driver.

It is called through ctypes: ten functions of a stable C interface, from the library that the package
`nvidia-cuda-nvrtc` brings; CuPy's bindings to them would bring all of CuPy along.
"""

import ctypes
import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from functools import cache
from pathlib import Path

from attrs import evolve, frozen

from flowc.runtime.errors import FlowError, fail

OPTIONS = (
    "--std=c++17",
    "--fmad=true",  # where an op forbids it, the text calls functions that say how they round
    "--prec-div=true",
    "--prec-sqrt=true",
    "--ftz=false",
    "--disable-warnings",
    "--no-source-include",
    "--ptxas-options=-v",
)
"""How every text is compiled: f32 divided and rooted as IEEE 754 says, subnormal numbers kept."""

_LIBRARY = re.compile(r"libnvrtc\.so\.(\d+)(?:\.[\d.]+)?")
_ARCHITECTURE = re.compile(r"sm_(\d+)[af]?")
_ENTRY = re.compile(r"Compiling entry function '([\w$]+)'")
_PROPERTIES = re.compile(r"Function properties for ([\w$]+)")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(.*)")
_SHARED = re.compile(r"(\d+) bytes smem")


@frozen
class Figures:
    """What a kernel needs on an architecture: registers of a thread; bytes of shared memory of a block, those
    that a launch asks for left out; bytes of a thread's stack, and of registers that are moved there."""

    kernel: str
    architecture: str
    registers: int = 0
    shared_bytes: int = 0
    stack_bytes: int = 0
    spill_bytes: int = 0


@frozen
class Compiled:
    """Machine code for one architecture, the PTX it was made of, and what each kernel needs."""

    cubin: bytes
    ptx: bytes
    figures: tuple[Figures, ...]


def available() -> bool:
    """Whether NVRTC is to be found here."""
    return next(_libraries(), None) is not None


def version() -> str:
    """The version of NVRTC, "13.0" say; raises FlowError (E0677) where there is none."""
    major, minor = c_int(), c_int()
    _check(_library(), _library().nvrtcVersion(byref(major), byref(minor)))
    return f"{major.value}.{minor.value}"


def architectures() -> tuple[str, ...]:
    """The architectures for which this NVRTC makes code, from the oldest; raises FlowError (E0677)."""
    library, count = _library(), c_int()
    _check(library, library.nvrtcGetNumSupportedArchs(byref(count)))
    numbers = (c_int * count.value)()
    _check(library, library.nvrtcGetSupportedArchs(numbers))
    return tuple(f"sm_{number}" for number in numbers)


def compile_text(text: str, architecture: str) -> Compiled:
    """Compiles CUDA C++ for an architecture such as sm_90.

    Raises FlowError where there is no NVRTC (E0677), where it does not know the architecture (E0681), and
    where it refuses the text (E0678), which is flowc's fault.
    """
    known = architectures()
    asked = _ARCHITECTURE.fullmatch(architecture)
    if asked is None or f"sm_{asked[1]}" not in known:
        raise fail(
            "E0681",
            f"NVRTC {version()} makes no code for {architecture}",
            why="each version of CUDA knows the GPUs of its time",
            help=f"choose among {', '.join(known)}, or install another version of NVRTC",
        )
    library, program = _library(), c_void_p()
    _check(library, library.nvrtcCreateProgram(byref(program), text.encode(), b"kernels.cu", 0, None, None))
    try:
        return _compiled(library, program, architecture)
    finally:
        library.nvrtcDestroyProgram(byref(program))


def _compiled(library: ctypes.CDLL, program: c_void_p, architecture: str) -> Compiled:
    options = [option.encode() for option in (f"--gpu-architecture={architecture}", *OPTIONS)]
    status = library.nvrtcCompileProgram(program, len(options), (c_char_p * len(options))(*options))
    log = _output(library, "ProgramLog", program).decode(errors="replace")
    if status:
        raise refused(architecture, log or _error(library, status))
    cubin, ptx = (_output(library, what, program) for what in ("CUBIN", "PTX"))
    return Compiled(cubin, ptx, figures_in(log, architecture))


def _output(library: ctypes.CDLL, what: str, program: c_void_p) -> bytes:
    """One of the texts or binaries that a compiled program has; texts without their final zero."""
    size = c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, byref(size)))
    room = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, room))
    return room.raw if what == "CUBIN" else room.raw.rstrip(b"\0")


def figures_in(log: str, architecture: str) -> tuple[Figures, ...]:
    """What the assembler says of each kernel.

    >>> figures_in("Compiling entry function 'k' for 'sm_90'\\nUsed 8 registers, 64 bytes smem", "sm_90")
    (Figures(kernel='k', architecture='sm_90', registers=8, shared_bytes=64, stack_bytes=0, spill_bytes=0),)
    """
    found: list[Figures] = []
    described = ""
    for line in log.splitlines():
        if entry := _ENTRY.search(line):
            found.append(Figures(entry[1], architecture))
        elif properties := _PROPERTIES.search(line):
            described = properties[1]  # a kernel, or a function of CUDA's library that it calls
        elif (stack := _STACK.search(line)) and found and found[-1].kernel == described:
            frame, stores, loads = (int(number) for number in stack.groups())
            found[-1] = evolve(found[-1], stack_bytes=frame, spill_bytes=stores + loads)
        elif (used := _USED.search(line)) and found:
            shared = _SHARED.search(used[2])
            size = int(shared[1]) if shared else 0
            found[-1] = evolve(found[-1], registers=int(used[1]), shared_bytes=size)
    return tuple(found)


def refused(architecture: str, log: str) -> FlowError:
    """NVRTC does not take a text of ours, or makes nothing of it; `log` is what it says."""
    return fail(
        "E0678",
        f"flowc wrote CUDA C++ that NVRTC does not compile for {architecture}",
        why=log.strip(),
        help="the fault is flowc's: please send the program; meanwhile `--target cpu` runs it",
    )


def _missing() -> FlowError:
    return fail(
        "E0677",
        "code for a GPU is made by NVRTC, and there is none here",
        why="no package `nvidia-cuda-nvrtc` or `nvidia-cuda-nvrtc-cu12`, and no CUDA",
        help="`pip install 'flowc[cuda13]'`; to read the CUDA C++, `--emit=cuda` needs none",
    )


@cache
def _library() -> ctypes.CDLL:
    """The newest NVRTC that can be loaded."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        library.nvrtcGetErrorString.restype = c_char_p
        library.nvrtcCreateProgram.argtypes = [
            POINTER(c_void_p), c_char_p, c_char_p, c_int, POINTER(c_char_p), POINTER(c_char_p),
        ]  # fmt: skip
        return library
    raise _missing()


def _libraries() -> Iterator[Path]:
    """The libraries of NVRTC on this machine, those of Python packages first, the newest first among them."""
    for folders in (_packages(), _toolkits()):
        named = [
            (_LIBRARY.fullmatch(path.name), path)
            for folder in folders
            for path in folder.glob("libnvrtc.so*")
        ]
        found = [(int(match[1]), path) for match, path in named if match is not None]
        yield from (path for _, path in sorted(found, reverse=True))


def _packages() -> Sequence[Path]:
    """Where NVIDIA's packages put libraries: nvidia/cu13/lib, and nvidia/cuda_nvrtc/lib before CUDA 13."""
    found = importlib.util.find_spec("nvidia")
    places = found.submodule_search_locations if found is not None else None
    return [folder for place in places or () for folder in Path(place).glob("*/lib")]


def _toolkits() -> Sequence[Path]:
    """Where a CUDA toolkit has its libraries."""
    homes = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    return [Path(home) / "lib64" for home in homes if home]


def _check(library: ctypes.CDLL, status: int) -> None:
    if status:
        raise refused("any GPU", _error(library, status))


def _error(library: ctypes.CDLL, status: int) -> str:
    text: bytes = library.nvrtcGetErrorString(status)
    return text.decode(errors="replace")
