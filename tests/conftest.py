"""What all tests share: the option that rewrites recorded output, quiet property tests, quick code."""

import gc
import os
from collections.abc import Generator, Iterator
from functools import wraps
from typing import Any

import pytest
from hypothesis import settings

from flowc.compiler.backends import llvm

# The suite draws the same examples every time, so that a failure is the change's; the long form explores.
settings.register_profile("suite", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("FLOWC_HYPOTHESIS", "suite"))

os.environ["FLOWC_HISTORY"] = "none"  # what runs before have shown must not change what tests see


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` accepts what is printed now as what must be printed."""
    parser.addoption(
        "--update", action="store_true", help="rewrite recorded output instead of comparing with it"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The thousands of tests that are collected stay until the end: to go through them again and again for
    garbage took a quarter of the collection, and a tenth of what comes after.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether recorded output is rewritten."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="module")
def unoptimised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leaves LLVM's optimiser off, which takes two thirds of the time of a test that asks what a program
    gives. The long form has it on, as have the tests of the back end; listings are of optimised code still.

    The code is kept in a folder of its own, where nobody finds it who wants the optimised one.
    """
    optimised = llvm.assemble

    @wraps(optimised)
    def plainly(text: str, target: Any, level: int = 2, listing: bool = False, *more: Any) -> Any:
        return optimised(text, target, level if listing else 0, listing, *more)

    if settings.get_current_profile_name() == "long":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "unoptimised"))
        patch.setattr(llvm, "assemble", plainly)
        yield
