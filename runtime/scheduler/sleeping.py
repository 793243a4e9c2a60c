"""Nodes that let time go by."""

import asyncio
import math

from flowc.runtime.errors import fail
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame

LONGEST = 10 * 366 * 86400.0
"""Seconds: what is above ten years is a mistake in a unit."""


class Sleep:
    """sleep: ends when so many seconds have gone by."""

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        """Waits; raises E0735 for a time that nobody can wait for."""
        seconds = float(frame.slots[instruction.inputs[0]])
        if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST):
            raise fail(
                "E0735",
                f"a flow cannot sleep for {seconds:g} s",
                why="a time to wait is a number of seconds from 0 to ten years",
                help="bound it: `sleep(max(0.0, seconds))`",
            )
        await sleep_for(engine, frame, instruction, seconds)


async def sleep_for(engine: Engine, frame: Frame, instruction: Instruction, seconds: float) -> None:
    """Waits until so many seconds have gone by; for a durable run they go by without a process, too."""
    if engine.keeper is None:
        await asyncio.sleep(seconds)
    else:
        await engine.keeper.sleep(frame, instruction, seconds)
