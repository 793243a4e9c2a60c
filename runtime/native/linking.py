"""Object code into the process: sections laid out, relocations applied, functions found by name.

Kernels need little of a linker: code for x86-64 in ELF refers to itself relative to the program counter, and
to a few functions elsewhere. That is done here, since to load LLVM takes many times as long as the first call
of a kernel that is compiled already. What goes beyond it, and other machines' code, is left to LLVM.

See the System V ABI, chapters 4 and 5, and its supplement for AMD64, table 4.9.
"""

import ctypes
import mmap
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from flowc.runtime.errors import FlowError, fail

_HEAD = b"\x7fELF\x02\x01\x01"
_KIND = struct.pack("<HH", 1, 62)
"""A relocatable object, for AMD64."""
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_SYMBOLS, _ADDENDS, _EMPTY = 2, 4, 8
"""Types of sections: symbols, relocations with addends, and memory that begins as zeros."""
_WRITABLE, _ALLOCATED = 1, 2
_RELATIVE, _CALL = 2, 4
"""Relocations, both of 32 bits from where they stand: R_X86_64_PC32 and R_X86_64_PLT32."""
_JUMP = bytes.fromhex("ff2502000000 6690")
"""`jmp *2(%rip)` and two bytes up to the address that it reads, which follows."""
_ENTRY = len(_JUMP) + 8

_CHOICE = 'run the function as it is: `@flowc.jit(mode="interpret")`'


class Linked(NamedTuple):
    """Code that has been mapped: the addresses of its functions by name, for as long as `memory` lives."""

    addresses: Mapping[str, int]
    memory: object


class _Section(NamedTuple):
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


class _Relocation(NamedTuple):
    section: int
    offset: int
    kind: int
    symbol: int
    addend: int


def link(code: bytes, names: Iterable[str], known: Mapping[str, int]) -> Linked:
    """Object code as part of the process, with the addresses of the functions of these names; `known` are
    functions that it may call besides the system's.

    Raises FlowError (E0695) where one that it calls is missing.
    """
    found = _linked(code, names, known)
    if found is None:
        from flowc.runtime.native.llvm import linked_by_llvm

        found = Linked(*linked_by_llvm(code, names, known))
    return found


def _linked(code: bytes, names: Iterable[str], known: Mapping[str, int]) -> Linked | None:
    """As `link`; None for code that only LLVM can link."""
    if not (sys.platform == "linux" and code.startswith(_HEAD) and code[16:20] == _KIND):
        return None
    sections = _sections(code)
    symbols = _symbols(code, sections)
    relocations = list(_relocations(code, sections))
    called = sorted({symbols[each.symbol].name for each in relocations if not symbols[each.symbol].section})
    places, fixed, size = _laid_out(sections, len(called) * _ENTRY)
    if not all(_is_simple(each, symbols[each.symbol], places) for each in relocations):
        return None
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    jumps = {name: fixed - _ENTRY * (position + 1) for position, name in enumerate(called)}
    for name, jump in jumps.items():
        memory[jump : jump + _ENTRY] = _JUMP + _address(name, known).to_bytes(8, "little")
    for number, place in places.items():
        if sections[number].type != _EMPTY:
            memory[place : place + sections[number].size] = _content(code, sections[number])
    for section, offset, _, symbol, addend in relocations:
        target, place = symbols[symbol], places[section] + offset
        value = places[target.section] + target.value if target.section else jumps[target.name]
        struct.pack_into("<i", memory, place, value + addend - place)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _make_executable(start, _pages(fixed))
    own = {symbol.name: symbol for symbol in symbols}
    return Linked({name: start + places[own[name].section] + own[name].value for name in names}, memory)


def _sections(code: bytes) -> list[_Section]:
    (start,), (count,) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<H", code, 60)
    found = []
    for place in range(start, start + count * _SECTION.size, _SECTION.size):
        _, type_, flags, _, offset, size, link, info, alignment, _ = _SECTION.unpack_from(code, place)
        found.append(_Section(type_, flags, offset, size, link, info, max(alignment, 1)))
    return found


def _symbols(code: bytes, sections: list[_Section]) -> list[_Symbol]:
    (table,) = (section for section in sections if section.type == _SYMBOLS)
    names = _content(code, sections[table.link])
    return [
        _Symbol(names[name : names.index(0, name)].decode(), section, value)
        for name, _, _, section, value, _ in _SYMBOL.iter_unpack(_content(code, table))
    ]


def _relocations(code: bytes, sections: list[_Section]) -> Iterator[_Relocation]:
    """Those of sections that become part of the process."""
    for section in sections:
        if section.type == _ADDENDS and sections[section.info].flags & _ALLOCATED:
            for offset, info, addend in _RELOCATION.iter_unpack(_content(code, section)):
                yield _Relocation(section.info, offset, info & 0xFFFFFFFF, info >> 32, addend)


def _content(code: bytes, section: _Section) -> bytes:
    return code[section.offset : section.offset + section.size]


def _laid_out(sections: list[_Section], jumps: int) -> tuple[dict[int, int], int, int]:
    """The offset of each section that becomes part of the process, the end of what never changes, and of all.

    Jumps to functions elsewhere are the last of what never changes.
    """
    places: dict[int, int] = {}
    end = fixed = 0
    for writable in (0, _WRITABLE):
        for number, section in enumerate(sections):
            if section.flags & _ALLOCATED and section.flags & _WRITABLE == writable:
                places[number] = _rounded(end, section.alignment)
                end = places[number] + section.size
        if not writable:
            fixed = _rounded(end, _ENTRY) + jumps
            end = _pages(fixed)
    return places, fixed, end


def _is_simple(relocation: _Relocation, symbol: _Symbol, places: Mapping[int, int]) -> bool:
    """Whether it is a distance within the code, or a call of a function elsewhere."""
    return (
        relocation.kind in (_RELATIVE, _CALL)
        if symbol.section in places
        else relocation.kind == _CALL and not symbol.section
    )


def _rounded(size: int, step: int) -> int:
    return -(-size // step) * step


def _pages(size: int) -> int:
    return _rounded(size, mmap.PAGESIZE)


@cache
def _process() -> ctypes.CDLL:
    """All functions that the process has by name: those of the C library and of its mathematics."""
    return ctypes.CDLL(None)


def _address(name: str, known: Mapping[str, int]) -> int:
    if name in known:
        return known[name]
    try:
        return ctypes.cast(getattr(_process(), name), ctypes.c_void_p).value or 0
    except AttributeError:
        raise _refused(f"it calls `{name}`, which this system does not have") from None


def _make_executable(start: int, size: int) -> None:
    """Code can be run and read, and not be written any more."""
    protect = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if protect(_address("mprotect", {}))(start, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise _refused("this system lets no process add code to itself")


def _refused(why: str) -> FlowError:
    return fail("E0695", "the object code of the kernels cannot be loaded", why=why, help=_CHOICE)
