"""Running bodies: the runner's loop, and slow bodies on threads of their own."""

from functools import partial
from heapq import heappop, heappushpop
from typing import Any

from flowc.runtime.errors import Problem
from flowc.runtime.scheduler.blocks import BODY, Block, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of
from flowc.runtime.scheduler.frames import Frame

SLOW = 0.001
"""Seconds after which a body that the runner ran itself counts as slow."""


def begin(engine: Engine, block: Block, arguments: list[Any]) -> None:
    """Starts a run of `block`; it goes on by itself until the engine's outcome is set."""
    engine.open(block, arguments)
    engine.workers.start(partial(drain, engine))


def drain(engine: Engine, token: object) -> None:
    """The runner's work: ready nodes by rank, until the run ends or another thread has become the runner."""
    with engine.lock:
        try:
            _drain(engine, token)
        except Exception as error:
            engine.broke(error)


def _drain(engine: Engine, token: object) -> None:
    """Goes from node to node; the lock is held but while a body runs. Written out for speed."""
    lock, ready, clock, log, workers = engine.lock, engine.ready, engine.clock, engine.log, engine.workers
    following = None
    while workers.token is token:
        if following is not None:
            following = heappushpop(ready, following) if ready else following
        elif ready:
            following = heappop(ready)
        elif workers.sleep():
            continue
        else:
            return
        _, _, frame, instruction = following
        following = None
        scope = frame.scope
        if scope.cancelled:
            continue
        if instruction.kind != BODY:
            engine.dispatch(frame, instruction)
            continue
        pace = instruction.pace
        if pace is not None and pace.slow:
            scope.running += 1
            workers.submit(partial(work, engine, frame, instruction))
            continue
        if instruction.charged and not engine.may_start(frame, instruction):
            continue
        scope.running += 1
        workers.current = instruction
        lock.release()
        workers.started = start = clock()
        problem = None
        value = None
        try:
            value = instruction.act(frame.slots)
        except BaseException as error:
            problem = problem_of(error, instruction)
        end = clock()
        if instruction.convert is not None and problem is None:
            try:
                value = instruction.convert(value)
            except BaseException as error:
                problem = problem_of(error, instruction)
        lock.acquire()
        log.append(("node.done", frame, instruction, start, end, None))
        if pace is not None and end - start > SLOW:
            pace.slow = True
        scope.running -= 1
        following = engine.ended(frame, instruction, value, problem)
    engine.queue(following)


def work(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """A slow body, on a thread of its own."""
    scope = frame.scope
    if scope.cancelled or instruction.charged:
        with engine.guarded():
            if scope.cancelled or not engine.may_start(frame, instruction):
                scope.running -= 1
                engine.settle(scope)
                return
    start = engine.clock()
    value, problem = _body(frame, instruction)
    end = engine.clock()
    if instruction.convert is not None and problem is None:
        try:
            value = instruction.convert(value)
        except BaseException as error:
            problem = problem_of(error, instruction)
    with engine.guarded():
        engine.log.append(("node.done", frame, instruction, start, end, None))
        if instruction.pace is not None:
            instruction.pace.note(end - start)
        scope.running -= 1
        engine.queue(engine.ended(frame, instruction, value, problem))


def _body(frame: Frame, instruction: Instruction) -> tuple[Any, Problem | None]:
    try:
        return instruction.act(frame.slots), None
    except BaseException as error:
        return None, problem_of(error, instruction)
