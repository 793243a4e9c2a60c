"""The device of these tests: FLOWC_TEST_DEVICE is `emulated` (unless said), `card` for the GPU that is here,
or `sanitized` for that GPU with memory that a sanitizer can tell apart."""

import os
from collections import defaultdict
from pathlib import Path

import pytest

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


CASES = 2
"""Cases of one test that are run where compilers have to emulate a device: the first and the last."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out cases between the first and the last of each test of this folder, unless FLOWC_HYPOTHESIS is
    `long` or the tests run on a card: to compile one takes seconds."""
    if os.environ.get("FLOWC_HYPOTHESIS") == "long" or os.environ.get("FLOWC_TEST_DEVICE"):
        return
    here = Path(__file__).parent
    cases = defaultdict[tuple[str, str], list[pytest.Item]](list)
    for item in items:
        if isinstance(item, pytest.Function) and here in item.path.parents:
            cases[str(item.path), item.originalname].append(item)
    left = {item for same in cases.values() if len(same) > CASES for item in same[1:-1]}
    if left and len(config.args) and not any("::" in argument for argument in config.args):
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]


choose(os.environ.get("FLOWC_TEST_DEVICE", "emulated"))
