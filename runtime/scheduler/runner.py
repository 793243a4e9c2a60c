"""Running what is ready: the loop's turn, the runner's work, and slow bodies on threads of their own."""

from functools import partial
from heapq import heappop, heappushpop
from typing import Any

from flowc.runtime.errors import Problem
from flowc.runtime.scheduler.blocks import BODY, Block, Instruction
from flowc.runtime.scheduler.current import current_step
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.given_up import Abandoned, Body, within
from flowc.runtime.scheduler.intending import (
    begins_now,
    call_off,
    cut,
    is_kept_first,
    made_safe,
    may_start,
)
from flowc.runtime.scheduler.workers import is_harmless, is_open

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
    ready, workers, keeper = engine.ready, engine.workers, engine.keeper
    for _ in range(TURN):
        if not workers.asleep or (not ready and (keeper is None or not keeper.more())):
            return
        if not ready:
            continue
        frame, instruction = ready[0][2:]
        pace = instruction.pace if instruction.kind == BODY and not engine.inline else None
        if pace is not None and not pace.slow:
            break
        heappop(ready)
        if frame.scope.cancelled:
            continue
        if instruction.kind != BODY:
            engine.dispatch(frame, instruction)
        elif keeper is not None and instruction.charged and keeper.meet(frame, instruction):
            continue
        elif instruction.pace is not None:
            _on_its_own(engine, frame, instruction)
        elif _packed(engine, frame, instruction) > SLOW:
            break
    if not ready and (keeper is None or not keeper.waits()):
        return
    if engine.inline:
        engine.waiting.again()
    else:
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
    if engine.inline:
        engine.workers.bodies += 1
        engine.loop.call_soon(_on_the_loop, engine, frame, instruction)
    else:
        job = partial(_worked, engine, frame, instruction)
        engine.workers.submit(job, frame.scope, harmless=is_harmless(instruction))


def _on_the_loop(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    with engine.held():
        engine.workers.bodies -= 1
    work(engine, frame, instruction)


def drain(engine: Engine, token: Body) -> None:
    """The runner's work: ready nodes by rank, until the run ends or another thread has become the runner."""
    with engine.lock:
        try:
            _drain(engine, token)
            if engine.workers.stopped:
                call_off(engine)
        except Exception as error:
            engine.broke(error)


def _drain(engine: Engine, token: Body) -> None:
    """Goes from node to node; the lock is held but while a body runs. Written out for speed."""
    lock, ready, clock, log, workers = engine.lock, engine.ready, engine.clock, engine.log, engine.workers
    keeper, leave, safe = engine.keeper, token.leave, engine.safe
    following = None
    while workers.token is token:
        if safe:
            engine.queue(following)
            following = None
            frame, instruction = safe.popleft()
            if not _still_runs(engine, frame, instruction):
                continue
            scope, pace = frame.scope, instruction.pace
        else:
            if following is not None:
                following = heappushpop(ready, following) if ready else following
            elif ready:
                following = heappop(ready)
            elif made_safe(engine) or (keeper is not None and keeper.more()) or workers.sleep():
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
            if keeper is not None and instruction.charged and keeper.meet(frame, instruction):
                continue
            if pace is not None and (pace.slow or (instruction.charged and is_open(scope))):
                _on_its_own(engine, frame, instruction)
                continue
            if instruction.charged and not may_start(engine, frame, instruction):
                continue
            scope.running += 1
            if keeper is not None and instruction.effectful and is_kept_first(engine, frame, instruction):
                continue
        workers.scope = scope
        workers.current = instruction
        lock.release()
        workers.started = start = clock()
        problem = None
        value = None
        try:
            try:
                if instruction.effectful:
                    value = _outside(engine, frame, instruction)
                else:
                    value = instruction.act(frame.slots)
            except BaseException as error:
                problem = problem_of(error, instruction)
            if workers.token is not token:
                leave()
        except Abandoned as error:  # it was sent when the body had just ended
            leave()
            problem = problem_of(error, instruction)
        end = clock()
        if instruction.convert is not None and problem is None:
            try:
                value = instruction.convert(value)
            except BaseException as error:
                problem = problem_of(error, instruction)
        lock.acquire()
        workers.current = None
        log.append(("node.done", frame, instruction, start, end, None))
        if pace is not None and end - start > SLOW:
            pace.slow = True
            token.renew()
        scope.running -= 1
        following = engine.ended(frame, instruction, value, problem)
    engine.queue(following)


def _outside(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
    """A body that reaches outside: it may ask what its call is called by."""
    with current_step(engine.session, frame, instruction):
        return instruction.act(frame.slots)


def _still_runs(engine: Engine, frame: Frame, instruction: Instruction) -> bool:
    """Whether the runner itself makes a call that may begin now: it may not be wanted any more, or have
    turned out to be slow.
    """
    if frame.scope.cancelled:
        cut(engine, frame, instruction)
        return False
    if instruction.pace is not None and instruction.pace.slow:
        job = partial(_worked, engine, frame, instruction, begun=True)
        engine.workers.submit(job, frame.scope, harmless=is_harmless(instruction))
        return False
    return True


def _worked(engine: Engine, frame: Frame, instruction: Instruction, *, begun: bool = False) -> None:
    """`work`, on a thread where nobody hears of it if the engine itself breaks."""
    try:
        work(engine, frame, instruction, begun=begun)
    except Exception as error:
        with engine.lock:
            engine.broke(error)


def work(engine: Engine, frame: Frame, instruction: Instruction, *, begun: bool = False) -> None:
    """A slow body, on a thread of its own. One that has `begun` is charged, what is kept of it is safe."""
    scope = frame.scope
    if not begun and (scope.cancelled or instruction.charged) and not begins_now(engine, frame, instruction):
        return
    if begun and scope.cancelled:
        with engine.held():
            cut(engine, frame, instruction)
        return
    start = engine.clock()
    with current_step(engine.session, frame, instruction):
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
        return within(partial(instruction.act, frame.slots)), None
    except BaseException as error:
        return None, problem_of(error, instruction)
