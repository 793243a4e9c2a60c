"""What all tests share: the option that rewrites recorded output, and quiet property tests."""

import os

import pytest
from hypothesis import settings

# The suite draws the same examples every time, so that a failure is the change's; the long form explores.
settings.register_profile("suite", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("FLOWC_HYPOTHESIS", "suite"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` accepts what is printed now as what must be printed."""
    parser.addoption(
        "--update", action="store_true", help="rewrite recorded output instead of comparing with it"
    )


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether recorded output is rewritten."""
    return bool(request.config.getoption("--update"))
