"""How a function under `@jit` is compiled."""

from typing import Literal

from attrs import frozen


@frozen
class Mode:
    """How a function is compiled: at which level, in strict IEEE order, with the same bits everywhere; its
    results in rows, whatever NumPy does."""

    level: int = 2
    precise: bool = False
    reproducible: bool = False
    in_rows: bool = False


Target = Literal["cpu", "cuda", "auto"]
"""What a kernel is compiled for."""


def require_options(*, precise: object, reproducible: object, mode: object, target: object = "cpu") -> None:
    """Raises ValueError for an option of a kernel that is none of its choices."""
    for name, value in (("precise", precise), ("reproducible", reproducible)):
        if not isinstance(value, bool):
            raise ValueError(f"{name} is True or False, not {value!r}")
    if mode not in ("native", "interpret"):
        raise ValueError(f'mode is "native" or "interpret", not {mode!r}')
    if target not in ("cpu", "cuda", "auto"):
        raise ValueError(f'target is "cpu", "cuda" or "auto", not {target!r}')
