"""The device of these tests: FLOWC_TEST_DEVICE is `emulated` (unless said), `card` for the GPU that is here,
or `sanitized` for that GPU with memory that a sanitizer can tell apart."""

import os

from flowc.compiler.backends.cuda import emulated
from flowc.compiler.backends.cuda.emulation import emulate

DEVICES = ("emulated", "card", "sanitized")


def choose(name: str) -> None:
    """Has all calls of kernels in the tests of this folder run on a device; raises ValueError for others."""
    if name not in DEVICES:
        raise ValueError(f"FLOWC_TEST_DEVICE is one of {', '.join(DEVICES)}, not {name!r}")
    if name == "emulated":
        return
    from tests.cuda import on_card

    if name == "sanitized":
        on_card.without_pool()
    emulated.run = on_card.run  # tests call it by this name, wherever they are
    emulate.available = lambda: True  # no C++ compiler is needed


choose(os.environ.get("FLOWC_TEST_DEVICE", "emulated"))
