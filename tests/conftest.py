"""What all tests share: the option that rewrites recorded output, quiet property tests, quick code, fewer
cases of those that are alike."""

import gc
import os
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from flowc.compiler.backends import llvm

# The suite draws the same examples every time, so that a failure is the change's; the long form explores.
settings.register_profile("suite", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("FLOWC_HYPOTHESIS", "suite"))

os.environ["FLOWC_HISTORY"] = "none"  # what runs before have shown must not change what tests see
os.environ["FLOWC_JOURNAL"] = "none"  # runs of tests are not kept among the user's own


_ASKED = "_hypothesis_internal_use_settings"  # where Hypothesis keeps what a test asks for


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` accepts what is printed now as what must be printed."""
    parser.addoption(
        "--update", action="store_true", help="rewrite recorded output instead of comparing with it"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marks of these tests."""
    config.addinivalue_line(
        "markers",
        "alike(count): cases that go much the same way: the quick form runs so many of them, spread evenly",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out cases of tests that are marked `alike`, and most examples of property tests, unless the long
    form runs or a test is named."""
    if settings.get_current_profile_name() == "long" or any("::" in argument for argument in config.args):
        return
    _draw_less({item.function for item in items if isinstance(item, pytest.Function)})
    cases = defaultdict[tuple[str, str], list[pytest.Item]](list)
    counts: dict[tuple[str, str], int] = {}
    for item in items:
        if (mark := item.get_closest_marker("alike")) and isinstance(item, pytest.Function):
            cases[str(item.path), item.originalname].append(item)
            counts[str(item.path), item.originalname] = mark.args[0]
    left = {item for test, same in cases.items() for item in set(same) - _spread(same, counts[test])}
    if left:
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]


def _draw_less(tests: Iterable[Any]) -> None:
    """Has property tests draw a third of what they ask for: campaigns (tests/assurance) draw from the same
    strategies without end."""
    for test in tests:
        asked: settings | None = getattr(test, _ASKED, None)
        if asked is not None:
            setattr(test, _ASKED, settings(asked, max_examples=(asked.max_examples + 2) // 3))


def _spread(items: Sequence[pytest.Item], count: int) -> set[pytest.Item]:
    """So many of some items, the first and the last among them."""
    if count >= len(items):
        return set(items)
    return {items[round(place * (len(items) - 1) / max(count - 1, 1))] for place in range(count)}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The thousands of tests that are collected stay until the end: to go through them again and again for
    garbage took a quarter of the collection, and a tenth of what comes after. A compiler's graphs of objects
    die all at once: to look for garbage among them seldom is enough.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = True  # tests write modules anew within the second that tells them apart
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether recorded output is rewritten."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="module")
def unoptimised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Has all tests of a module do with code as in `_plainly`."""
    with _plainly(tmp_path_factory.getbasetemp()):
        yield


@pytest.fixture
def unoptimised_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Has one test do with code as in `_plainly`."""
    with _plainly(tmp_path_factory.getbasetemp()):
        yield


@contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    """Leaves LLVM's optimiser off, and all ways of a kernel the usual ones, which together take most of the
    time of a test that asks what a program gives. The long form has them on, as have the tests of every
    operator, of families of programs and of the order of sums; listings are of optimised code still.

    The code is kept in a folder of its own, where nobody finds it who wants the optimised one.
    """
    from flowc.compiler.backends import cuda  # whose host code is left as it is too

    optimised = llvm.assemble

    @wraps(optimised)
    def plainly(text: str, target: Any, level: int = 2, listing: bool = False, *more: Any) -> Any:
        return optimised(text, target, level if listing else 0, listing, *more)

    if settings.get_current_profile_name() == "long":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWC_CACHE_DIR", str(folder / "unoptimised"))
        for back_end in (llvm, cuda):
            patch.setattr(back_end, "assemble", plainly)
        patch.setattr(llvm.Options, "decides", False)
        yield
