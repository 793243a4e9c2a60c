"""Tests of what NumPy programs give: the code need not be quick, there are hundreds of them."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quickly_compiled(unoptimised: None) -> None:
    """The optimiser of LLVM is tested elsewhere."""
