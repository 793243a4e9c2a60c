"""How a function under `@jit` is compiled."""

from attrs import frozen


@frozen
class Mode:
    """How a function is compiled: at which level, in strict IEEE order, with the same bits everywhere."""

    level: int = 2
    precise: bool = False
    reproducible: bool = False
