"""The native library for this platform: `pool.ll` and its neighbours, capitals filled in, and compiled.

It is needed only to compile the library. A process that finds it compiled does without these imports.
"""

import mmap
import platform
import re
import signal
import sys
import time
from pathlib import Path

from llvmlite import binding

_PARTS = ("placing.ll" if sys.platform == "linux" else "unplaced.ll", "pool.ll", "arena.ll", "forest.ll")
PAYS_AWAKE = 10_000
"""Nanoseconds of work that another thread is worth which is awake."""
_INSIDE = (1 << 62) - 1
_pauses = {"x86_64": "pause", "AMD64": "pause", "aarch64": "yield", "arm64": "yield"}
"""The instruction that tells a processor that its thread only waits; elsewhere none is known."""

_WORD = re.compile(r"\b[A-Z][A-Z_]{2,}\b")


def compiled(triple: str) -> bytes:
    """The object code of the library."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    machine = binding.Target.from_triple(triple).create_target_machine(opt=2, reloc="pic", codemodel="small")
    module = binding.parse_assembly(source())
    module.triple = triple
    module.data_layout = str(machine.target_data)
    module.verify()
    builder = binding.create_pass_builder(machine, binding.PipelineTuningOptions(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def source() -> str:
    """The text of the library for this platform."""
    numbers = {name: str(number) for name, number in _numbers().items()}
    numbers["PAUSE"] = _pauses.get(platform.machine(), "")
    text = "\n".join(Path(__file__).with_name(part).read_text() for part in _PARTS)
    lines = [line.split(";")[0].rstrip() for line in text.splitlines()]
    return _WORD.sub(lambda word: numbers[word[0]], "\n".join(line for line in lines if line))


def _numbers() -> dict[str, int]:
    """What the capitals in the text stand for: rules of the pool and the arena, and words of the platform."""
    return {
        "CLOSED": _INSIDE + 1,
        "INSIDE": _INSIDE,
        "LAST_INSIDE": _INSIDE + 2,
        # Nanoseconds. Waking a thread was measured at 20 us, in which it could have done as much itself.
        "SPIN": 50_000,
        "PAYS_AWAKE": PAYS_AWAKE,
        "PAYS_ASLEEP": 25_000,
        # The stack of a worker. Some C libraries give threads too little for the scratch of kernels.
        "STACK_BYTES": 4 * 1024 * 1024,
        # As many processors as the sets of the C library hold.
        "PROCESSORS": 1024,
        "PROCESSOR_BYTES": 1024 // 8,
        "SLOTS": 16,
        "KEPT_BYTES": 256 * 1024 * 1024,
        "LARGE": 128 * 1024,
        "LARGEST": 1 << 47,
        "HUGE_PAGE": 2 * 1024 * 1024,
        # As many walks as fit into the registers of any processor.
        "TREES": 8,
        "CLOCK_MONOTONIC": time.CLOCK_MONOTONIC,
        "SIG_SETMASK": signal.SIG_SETMASK,
        "SIGSEGV": signal.SIGSEGV,
        "SIGBUS": signal.SIGBUS,
        "SIGFPE": signal.SIGFPE,
        "SIGILL": signal.SIGILL,
        "PROT_READ_WRITE": mmap.PROT_READ | mmap.PROT_WRITE,
        "MAP_FLAGS": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        # Where there are no huge pages to ask for, the advice is the default (0).
        "MADV_HUGEPAGE": getattr(mmap, "MADV_HUGEPAGE", 0),
    }
