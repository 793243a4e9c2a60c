"""Trying again: whether it could help, and how long to wait before it."""

import random

from flowc.runtime.errors import OVER_BUDGET, Problem
from flowc.runtime.plan import Limits
from flowc.runtime.randomness import seed_of
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, step_of


def may_retry(problem: Problem) -> bool:
    """Whether trying again could help: never where a budget is spent."""
    return problem.code not in OVER_BUDGET


def begin_retry(
    engine: Engine, frame: Frame, instruction: Instruction, limits: Limits, problem: Problem, tries: int
) -> float:
    """Notes, under the lock, that something failed and is tried again; gives the seconds to wait before.

    They grow exponentially, with jitter from the run's seed and the step, so that they do not depend on which
    of several calls happened to fail first.
    """
    engine.note("retry", frame, instruction, (problem, tries))
    step = step_of(frame, instruction, engine.session.root)
    chance = random.Random(seed_of(engine.session.seed, "backoff", step, tries))
    return limits.backoff * 2.0 ** (tries - 1) * (0.5 + chance.random() / 2)
