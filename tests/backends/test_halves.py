"""f16 on processors that have no instructions for it, where a call of a run-time library would be a crash."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.runtime import processor
from tests.kernels.children import in_child

EVERY = np.arange(65536, dtype=np.uint16).view(np.float16)


def widened(x: Any) -> Any:
    return x.astype(np.float32)


def narrowed(x: Any) -> Any:
    return x.astype(np.float16)


def scaled(x: Any, factor: Any) -> Any:
    return x * factor


def on_baseline(work: Callable[[], None]) -> None:
    """Runs the work in a child whose kernels are compiled for the least processor."""
    baseline = processor.portable()["baseline"]

    def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processor, "host", lambda: baseline)
            work()

    in_child(run)


def assert_same(got: Any, wanted: Any) -> None:
    numbers = ~np.isnan(wanted)
    assert np.array_equal(np.isnan(got), np.isnan(wanted))
    assert got[numbers].tobytes() == wanted[numbers].tobytes()


def test_every_f16_widens_without_instructions_for_it() -> None:
    on_baseline(lambda: assert_same(flowc.jit(widened)(EVERY), EVERY.astype(np.float32)))


def test_f32_rounds_to_the_nearest_even_f16_without_instructions_for_it() -> None:
    wide = np.unique(EVERY[np.isfinite(EVERY)]).astype(np.float32)
    between = (wide[1:] + wide[:-1]) / 2
    near = [np.nextafter(between, np.float32(side)) for side in (-np.inf, np.inf)]
    edges = np.array([np.nan, np.inf, -np.inf, 65519.996, 65520, 7e4, 3e38, 1e-8, -1e-45], np.float32)
    random = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([wide, between, *near, edges, random])
    with np.errstate(all="ignore"):
        on_baseline(lambda: assert_same(flowc.jit(narrowed)(x), x.astype(np.float16)))


def test_an_f16_number_is_an_argument_without_instructions_for_it() -> None:
    factor = np.float16(1.5)
    with np.errstate(all="ignore"):
        on_baseline(lambda: assert_same(flowc.jit(scaled)(EVERY, factor), EVERY * factor))
