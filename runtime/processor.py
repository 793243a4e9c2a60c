"""Processors: this machine's, the levels that portable code is made for, and which a machine can run."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from attrs import asdict, frozen

from flowc.runtime import object_cache


@frozen
class Processor:
    """A processor as LLVM names it: target triple, name, features as `+avx2,-sse4a`, width of its vectors."""

    triple: str
    cpu: str
    features: str
    vector_bits: int

    @property
    def attributes(self) -> str:
        """The attributes that every function of a module of LLVM IR carries."""
        return (
            f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.features}" '
            f'"prefer-vector-width"="{self.vector_bits}"'
        )

    def has(self, feature: str) -> bool:
        """Whether code for it may use a feature, named as on x86-64; other machines have fma and f16c."""
        if not self.triple.startswith("x86_64"):
            return feature in ("fma", "f16c")
        own = self.features.split(",")
        levels = [
            name
            for name, (cpu, more, _) in LEVELS.items()
            if cpu == self.cpu and all(each in own for each in more.split(",") if each)
        ]
        return f"+{feature}" in own or any(feature in _NEEDS[name] for name in levels)


BF16_DOTS, BYTE_DOTS = "avx512bf16", "avx512vnni"
"""LLVM's names for the abilities to add products of pairs of bf16, and of four pairs of bytes."""

DOTS = "avx512dots"
"""The level with both, which only code for such numbers is made for."""

LEVELS: Mapping[str, tuple[str, str, int]] = {
    DOTS: ("x86-64-v4", f"+{BF16_DOTS},+{BYTE_DOTS}", 512),
    "avx512": ("x86-64-v4", "", 512),
    "avx2": ("x86-64-v3", "", 256),
    "baseline": ("x86-64-v2", "", 128),
}
"""Portable levels of x86-64, best first: LLVM's name, what is beyond that, and the width of vectors."""

_WIDE = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "bmi2", "f16c")

_NEEDS: Mapping[str, tuple[str, ...]] = {
    DOTS: (*_WIDE, BF16_DOTS, BYTE_DOTS),
    "avx512": _WIDE,
    "avx2": ("avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"),
    "baseline": ("sse4.2", "ssse3", "popcnt", "cx16"),
}
"""What a processor must have to run code of a level."""


_ABILITIES = ("flags", "Features")
_IDENTITY = (
    *_ABILITIES,
    *("vendor_id", "cpu family", "model", "model name", "stepping"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
)
"""How Linux calls what tells processors apart, on x86-64 and on ARM."""


@cache
def host() -> Processor:
    """This machine's processor, with all it can do.

    What LLVM says of it is kept on disk by what the system says of it: to load LLVM takes longer than to find
    a kernel and run it.
    """
    import llvmlite

    described = _described()
    key = hashlib.sha256(f"llvmlite {llvmlite.__version__}\n{described}".encode()).hexdigest()
    kept = object_cache.read(key) if described else None
    if kept is not None:
        return Processor(**json.loads(kept))
    found = _host()
    if described:
        object_cache.write(key, json.dumps(asdict(found)).encode())
    return found


def _host() -> Processor:
    from llvmlite import binding

    found = binding.get_host_cpu_features()
    width = 512 if found.get("avx512f") else 256 if found.get("avx") else 128
    return Processor(binding.get_default_triple(), binding.get_host_cpu_name(), found.flatten(), width)


def _described(path: Path = Path("/proc/cpuinfo")) -> str:
    """What Linux says of the first core: what it is and all that it can do; empty where it does not say."""
    try:
        with path.open() as file:  # the file has a part for each core, and is made while it is read
            lines = [line for line in iter(file.readline, "\n") if line.split("\t")[0].strip() in _IDENTITY]
    except OSError:
        return ""
    return "".join(lines) if any(line.startswith(_ABILITIES) for line in lines) else ""


def portable() -> dict[str, Processor]:
    """Every level that code of this kind of machine is made for, by name, best first."""
    triple = host().triple
    if not triple.startswith("x86_64"):
        return {"baseline": Processor(triple, "generic", "", 128)}
    return {name: Processor(triple, cpu, more, bits) for name, (cpu, more, bits) in LEVELS.items()}


def runs(level: str) -> bool:
    """Whether this machine can run code of a portable level."""
    machine = host()
    if not machine.triple.startswith("x86_64"):
        return level == "baseline"
    has = set(machine.features.split(","))
    return level in _NEEDS and all(f"+{name}" in has for name in _NEEDS[level])


def lacking(features: str) -> list[str]:
    """Features that code was compiled with and this machine lacks."""
    has = set(host().features.split(","))
    wanted = [item for item in features.split(",") if item.startswith("+")]
    return [item[1:] for item in wanted if f"-{item[1:]}" in has]
