"""generate_batch: calls of a model for each element of lists, without the engine between the elements.

An element has a frame for its values and its place in the trace, as in a map, so that its step, its seed and
its limits are those that it would have there. But nothing waits in the engine's heap for it: a few workers go
from element to element, fill the prompt, ask, and take the answer apart.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import charge_memory
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import BatchProvider
from flowc.runtime.scheduler.abandoning import is_cancelled
from flowc.runtime.scheduler.blocks import BODY, WAIT, Block, Instruction
from flowc.runtime.scheduler.collector import Collector
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import cancelled_from_outside, placed, problem_of
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.together import all_of
from flowc.runtime.scheduler.widths import width_of
from flowc.runtime.values import size_of

TURN = 64
"""After so many elements a worker lets others have the loop, even if no answer made it wait."""


async def generate_batch(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
    """generate_batch: see the module. The first failure ends the others and is the batch's own."""
    batch = _Batch(engine, frame, instruction)
    if not batch.count:
        return []
    try:
        workers = range(min(batch.width, batch.count))
        await all_of([engine.loop.create_task(batch.work()) for _ in workers])
    finally:
        for collector in batch.collectors:
            await collector.close()
    if instruction.node.settings.get("filtered"):
        return [result[1] for result in batch.results if result[0]]
    return [result[0] for result in batch.results]


class _Batch:
    """A batch under way: `next` is the element that no worker has taken yet."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        self.engine = engine
        self.frame = frame
        self.instruction = instruction
        self.block = instruction.blocks[0]
        self.columns: list[Sequence[Any]] = [frame.slots[slot] for slot in instruction.inputs]
        lengths = sorted({len(column) for column in self.columns})
        if len(lengths) > 1:
            told = ", ".join(str(len(column)) for column in self.columns)
            raise fail("E0713", f"these lists are to be taken together but differ in length: {told}")
        self.count = lengths[0] if lengths else 0
        self.results: list[list[Any]] = [[] for _ in range(self.count)]
        self.next = 0
        self.width = width_of(engine, instruction, frame.scope, self.count)
        self.collectors: list[Collector] = []
        self.asks: dict[Instruction, Any] = {}
        for call in _calls(self.block):
            self._bind(call)

    def _bind(self, call: Instruction) -> None:
        """Chooses how a call is made: alone, or with the others where the provider takes them together. What
        reads its answer has its turn in `_run`, and does not run ahead of that.
        """
        collector = _collector(self.engine, self.frame, call.operation) if self.count > 1 else None
        self.asks[call] = evolve(call.act, streamed=None)
        if collector is not None:
            self.collectors.append(collector)
            self.asks[call] = evolve(self.asks[call], collector=collector)
            self.width = self.count

    async def work(self) -> None:
        """One element after the other, until none is left."""
        try:
            await self._elements()
        except asyncio.CancelledError as error:
            raise error.with_traceback(None) from None  # the task keeps it, and all frames on the way to it

    async def _elements(self) -> None:
        done = 0
        while self.next < self.count:
            position = self.next
            self.next += 1
            child = Frame(self.block, self.frame.scope, _nobody_waits, self.frame, self.instruction, position)
            for slot, column in zip(self.block.parameters, self.columns, strict=True):
                child.slots[slot] = column[position]
            self.results[position] = await self._run(child)
            done += 1
            if done % TURN == 0:
                await asyncio.sleep(0)

    async def _run(self, frame: Frame) -> list[Any]:
        """The results of a frame: its nodes one after the other, each after those it waits for."""
        try:
            for index in frame.block.order:
                each = frame.block.instructions[index]
                if each.kind == BODY:
                    frame.slots[each.output] = _package(frame, each)
                elif each.kind == WAIT:
                    frame.slots[each.output] = await self._ask(frame, each)
                else:
                    branch = each.blocks[0 if frame.slots[each.inputs[0]] else 1]
                    values = await self._run(Frame(branch, frame.scope, _nobody_waits, frame, each, -1))
                    for slot, value in zip(each.outputs, values, strict=True):
                        frame.slots[slot] = value
            return frame.results()
        finally:
            frame.close()

    async def _ask(self, frame: Frame, call: Instruction) -> Any:
        """One call, with what the trace wants to know of it."""
        engine = self.engine
        kind, problem, value = "node.done", None, None
        keeper = engine.keeper
        known = None if keeper is None else await keeper.recall(frame, call)
        start = engine.clock()
        try:
            made = (frame, call) if keeper is None else keeper.made_with(frame, call)
            value = await self.asks[call](engine, *made) if known is None else known.result()
            if frame.scope.budgets:
                charge_memory(frame.scope.budgets, size_of(value), call.node.name)
        except asyncio.CancelledError as error:
            kind = "cancelled"
            if is_cancelled(error):
                raise
            problem = placed(cancelled_from_outside(call), call)
            raise FlowError(problem) from None
        except Exception as error:
            problem = placed(problem_of(error, call), call)
            raise FlowError(problem) from None
        finally:
            end = engine.clock()
            with engine.lock:
                if keeper is not None and known is None:
                    if kind == "cancelled" and problem is None:
                        keeper.cut(frame, call)
                    else:
                        keeper.ended(frame, call, value, problem)
                engine.log.append((kind, frame, call, start, end, None))
                if problem is not None:
                    engine.log.append(("node.failed", frame, call, end, end, problem))
                elif engine.observed and kind == "node.done":
                    engine.log.append(("effect.done", frame, call, end, end, value))
        return value


def _package(frame: Frame, each: Instruction) -> Any:
    """A plain function around the calls, here and now."""
    try:
        value = each.act(frame.slots)
        if frame.scope.budgets:
            charge_memory(frame.scope.budgets, size_of(value), each.node.name)
    except Exception as error:
        raise FlowError(placed(problem_of(error, each), each)) from None
    return value


def _calls(block: Block) -> Iterable[Instruction]:
    """The calls of a block and of its branches."""
    for each in block.instructions:
        if each.kind == WAIT:
            yield each
        for inner in each.blocks:
            yield from _calls(inner)


def _collector(engine: Engine, frame: Frame, operation: Operation | None) -> Collector | None:
    """What sends the calls to the provider's endpoint for batches, where there is one and time for it."""
    if operation is None:
        return None
    model = engine.session.model(operation.model)
    if not model.batch:
        return None
    provider = engine.session.provider(model)
    timeout = operation.limits.timeout
    left = frame.scope.deadline - engine.loop.time()
    in_time = model.batch_latency <= left and (timeout is None or model.batch_latency <= timeout)
    return Collector(provider, engine.loop) if in_time and isinstance(provider, BatchProvider) else None


def _nobody_waits(child: Frame) -> None:
    """Frames of elements are ended by the batch itself."""
