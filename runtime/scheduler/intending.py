"""What comes before a call outside: it is charged, and what a durable run keeps of it is made safe."""

from flowc.runtime.errors import FlowError
from flowc.runtime.limits import charge_call
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame

TOGETHER = 32
"""Calls outside whose intents share one sync at most: so many may be in doubt after a crash."""


def may_start(engine: Engine, frame: Frame, instruction: Instruction) -> bool:
    """Charges a body's call to the budgets around it; false where that failed the scope."""
    try:
        charge_call(frame.scope.budgets, instruction.node.name)
    except FlowError as error:
        engine.fail(frame, instruction, error.problem)
        return False
    if instruction.effectful:
        engine.intend(frame, instruction, 1)
    return True


def is_kept_first(engine: Engine, frame: Frame, instruction: Instruction) -> bool:
    """Whether what is kept of a call has to be safe before it begins. Such calls are collected until nothing
    else is ready: they share a sync.
    """
    position = None if engine.keeper is None else engine.keeper.begin(frame, instruction, 1)
    if position is None:
        return False
    engine.intended.append((frame, instruction))
    engine.position = position
    if len(engine.intended) == TOGETHER:
        made_safe(engine)
    return True


def made_safe(engine: Engine) -> bool:
    """Waits until what is kept of the collected calls is safe, and lets them begin; false where there are
    none.
    """
    if not engine.intended or engine.keeper is None:
        return False
    engine.lock.release()
    try:
        engine.keeper.flush(engine.position)
    finally:
        engine.lock.acquire()
    engine.safe.extend(engine.intended)
    engine.intended.clear()
    return True


def begins_now(engine: Engine, frame: Frame, instruction: Instruction) -> bool:
    """Charges a body's call, and makes safe what is kept of it; false where it must not begin."""
    scope, position, begins = frame.scope, None, False
    with engine.held():  # which ends the run, and goes on here, where the journal fails
        if not scope.cancelled and may_start(engine, frame, instruction):
            if instruction.effectful and engine.keeper is not None:
                position = engine.keeper.begin(frame, instruction, 1)
            begins = True
    if not begins:
        with engine.held():
            scope.running -= 1
            engine.settle(scope)
        return False
    if position is None or engine.keeper is None:
        return True
    problem: BaseException | None = None
    try:
        engine.keeper.flush(position)
    except FlowError as error:
        problem = error
    if problem is None and not scope.cancelled:
        return True
    with engine.held():
        if problem is not None:
            scope.running -= 1
            engine.broke(problem)
        else:
            cut(engine, frame, instruction)
    return False


def call_off(engine: Engine) -> None:
    """The run has ended: calls that were about to begin never did."""
    for frame, instruction in (*engine.safe, *engine.intended):
        cut(engine, frame, instruction)
    engine.safe.clear()
    engine.intended.clear()


def cut(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """A call that was about to begin is cancelled."""
    frame.scope.running -= 1
    if engine.keeper is not None:
        engine.keeper.cut(frame, instruction, began=False)
    engine.drop(frame, instruction)
