"""Hundreds of calls at once: all are under way, none waits in memory for a place, and all can be let go."""

import asyncio
import gc
from pathlib import Path

import pytest

from benchmarks.in_flight.child import MEGABYTE, PROGRAM, Provider, measured
from flowc.compiler.driver import compile_text
from flowc.runtime.collecting import OBJECTS, rarely_collected
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run_plan
from flowc.runtime.providers.base import ModelSettings


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no high-water mark to reset")
def test_many_calls_at_once_take_little_memory_and_leave_nothing_when_they_are_cancelled() -> None:
    found = measured(500, 0.5)
    assert found["bytes"] < 25 * MEGABYTE
    assert (found["tasks_left"], found["files_left"], found["calls_left"]) == (0, 0, 0)


def test_what_has_no_place_yet_is_not_begun() -> None:
    """A map of thousands of calls has as many tasks as its model takes calls, not as it has elements."""
    provider = Provider(0.01)
    model = ModelSettings("local", "local", max_in_flight=100)
    environment = Environment(config=Config(models={"local": model}), providers={"local": provider})
    loaded = load(compile_text(PROGRAM, "main.flow").plan, environment)
    most = 0

    async def go() -> int:
        nonlocal most
        task = asyncio.create_task(run_plan(loaded, "main", {"count": 2000}))
        while not task.done():
            most = max(most, len(asyncio.all_tasks()))
            await asyncio.sleep(0.002)
        return len((await task).result)

    assert asyncio.run(go()) == 2000
    assert provider.most == 100
    assert 100 < most < 120


def test_garbage_is_looked_for_as_often_as_before_once_no_run_is_under_way() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(600, 9, 8)
        with rarely_collected():
            assert gc.get_threshold() == (OBJECTS, 9, 8)
            with rarely_collected():
                assert gc.get_threshold()[0] == OBJECTS
            assert gc.get_threshold()[0] == OBJECTS
        assert gc.get_threshold() == (600, 9, 8)
        with rarely_collected():
            gc.set_threshold(50)  # somebody else's decision stays
        assert gc.get_threshold()[0] == 50
        gc.set_threshold(0)  # as does one made before
        with rarely_collected():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
