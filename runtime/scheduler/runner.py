"""Running what is ready: the loop's turn, the runner's work, and slow bodies on threads of their own."""

from functools import partial
from heapq import heappop, heappushpop
from typing import Any

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.limits import charge_call
from flowc.runtime.scheduler.blocks import BODY, Block, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.workers import is_open

SLOW = 0.001
"""Seconds after which a body that the runner ran itself counts as slow."""

TURN = 500
"""Nodes that the loop goes through in one turn at most: about a millisecond, for others wait for it too."""


def begin(engine: Engine, block: Block, arguments: list[Any]) -> None:
    """Starts a run of `block`; it goes on by itself until the engine's outcome is set."""
    engine.workers.start(partial(drain, engine))
    engine.go_on = partial(take_turn, engine)
    engine.open(block, arguments)


def take_turn(engine: Engine) -> None:
    """On the loop, under the lock: ready nodes by rank, as long as the runner sleeps and none can block."""
    ready, workers = engine.ready, engine.workers
    for _ in range(TURN):
        if not ready or not workers.asleep:
            return
        frame, instruction = ready[0][2:]
        if instruction.kind == BODY and instruction.pace is not None and not instruction.pace.slow:
            break
        heappop(ready)
        if frame.scope.cancelled:
            continue
        if instruction.kind != BODY:
            engine.dispatch(frame, instruction)
        elif instruction.pace is not None:
            _on_its_own(engine, frame, instruction)
        elif _packed(engine, frame, instruction) > SLOW:
            break
    if ready:
        workers.wake()


def _packed(engine: Engine, frame: Frame, instruction: Instruction) -> float:
    """Runs a body that only packs values, here; gives the seconds that it took. Ctrl-C is not its failure."""
    value, problem = None, None
    start = engine.clock()
    try:
        value = instruction.act(frame.slots)
    except Exception as error:
        problem = problem_of(error, instruction)
    end = engine.clock()
    engine.log.append(("node.done", frame, instruction, start, end, None))
    engine.queue(engine.ended(frame, instruction, value, problem))
    return end - start


def _on_its_own(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    frame.scope.running += 1
    engine.workers.submit(partial(work, engine, frame, instruction), frame.scope)


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
        if pace is not None and (pace.slow or (instruction.charged and is_open(scope))):
            _on_its_own(engine, frame, instruction)
            continue
        if instruction.charged and not _may_start(engine, frame, instruction):
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


def _may_start(engine: Engine, frame: Frame, instruction: Instruction) -> bool:
    """Charges a body's call to the budgets around it; false where that failed the scope."""
    try:
        charge_call(frame.scope.budgets, instruction.node.name)
    except FlowError as error:
        engine.fail(frame, instruction, error.problem)
        return False
    if instruction.effectful:
        engine.intend(frame, instruction, 1)
    return True


def work(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """A slow body, on a thread of its own."""
    scope = frame.scope
    if scope.cancelled or instruction.charged:
        with engine.held():
            if scope.cancelled or not _may_start(engine, frame, instruction):
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
    with engine.held():
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
