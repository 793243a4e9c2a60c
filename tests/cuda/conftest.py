"""The device of these tests: FLOWC_TEST_DEVICE is `emulated` (unless said), `card` for the GPU that is here,
or `sanitized` for that GPU with memory that a sanitizer can tell apart."""

import os
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


CASES = 1
"""Cases of one test that are run where compilers have to emulate a device; campaigns draw any."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the cases of each test of this folder as alike, but on a card: to compile one takes seconds."""
    if os.environ.get("FLOWC_TEST_DEVICE"):
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.alike(CASES))


@pytest.fixture(scope="module", autouse=True)
def _quickly_compiled(unoptimised: None) -> None:
    """Host code launches and little more, and what the processor gives is the same without LLVM's optimiser.
    What is compiled for the emulation is found again by the next run."""
    kept, here = _KEPT, Path(emulate.folder())
    if kept != here and not here.exists():
        kept.mkdir(parents=True, exist_ok=True)
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(kept)


_KEPT = emulate.folder()
choose(os.environ.get("FLOWC_TEST_DEVICE", "emulated"))
