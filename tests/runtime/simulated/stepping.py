"""The simulated server once more, one iteration after the other, in the plainest way: an oracle."""

from collections.abc import Sequence

from attrs import define, field, frozen

from flowc.runtime.providers.simulated.behaviour import Serving


@frozen
class Asked:
    """A request: when it comes, what it is, and when its caller loses interest."""

    arrival: float
    prompt: int
    answer: int
    blocks: tuple[int, ...] = ()
    order: float = 0.0
    program: str = ""
    gone: float = float("inf")


@define(eq=False)
class Task:
    """A request under way."""

    asked: Asked
    number: int
    begun: float | None = None
    first: float | None = None
    ended: float | None = None
    cached: int = 0
    decoded: int = 0
    lost: bool = False


@define
class Memory:
    """Blocks as a plain list of (id, users), the least recently used first; private blocks have no id."""

    capacity: int
    known: dict[int, int] = field(factory=dict)
    idle: list[int] = field(factory=list)
    private: int = 0

    def used(self) -> int:
        return len(self.known) + self.private

    def hold(self, block: int) -> None:
        if block in self.idle:
            self.idle.remove(block)
        self.known[block] = self.known.get(block, 0) + 1

    def drop(self, blocks: Sequence[int]) -> None:
        for block in reversed(blocks):
            self.known[block] -= 1
            if self.known[block] == 0:
                self.idle.append(block)

    def shrink(self) -> None:
        while self.used() > self.capacity:
            del self.known[self.idle.pop(0)]


@define(eq=False)
class Stepper:
    """Goes through the iterations of a server."""

    serving: Serving
    memory: Memory = field(init=False)
    time: float = 0.0
    queue: list[Task] = field(factory=list)
    running: list[Task] = field(factory=list)
    pins: list[tuple[float, str, tuple[int, ...]]] = field(factory=list)
    most: int = 0

    def __attrs_post_init__(self) -> None:
        self.memory = Memory(self.serving.blocks)

    def run(self, requests: Sequence[Asked]) -> list[Task]:
        """Serves all, and tells of each what happened to it."""
        tasks = [Task(asked, number) for number, asked in enumerate(requests)]
        coming = sorted(tasks, key=lambda task: (task.asked.arrival, task.number))
        while coming or self.queue or self.running:
            if not self.queue and not self.running:
                self.time = max(self.time, coming[0].asked.arrival)
            self._between(coming)
            task = self._next()
            if task is not None:
                self._prefill(task)
            elif self.running:
                self._decode()
        return tasks

    def _between(self, coming: list[Task]) -> None:
        for pin in sorted(self.pins, key=lambda pin: pin[0]):
            if pin[0] <= self.time:
                self._unpin(pin)
        self._ended()
        while coming and coming[0].asked.arrival <= self.time:
            self.queue.append(coming.pop(0))
        for task in [task for task in self.running if task.asked.gone <= self.time]:
            task.lost = True
            self._release(task)
        self.queue = [task for task in self.queue if task.asked.gone > self.time]
        if self.serving.policy == "priority":
            self.queue.sort(key=lambda task: task.asked.order)

    def _ended(self) -> None:
        for task in [task for task in self.running if task.decoded == task.asked.answer]:
            if task.asked.gone > self.time:
                task.ended = self.time
                self._release(task)

    def _blocks(self, task: Task) -> tuple[list[int], int]:
        asked, size = task.asked, self.serving.block
        whole = -(-(asked.prompt + asked.answer) // size)
        shared = list(asked.blocks[: asked.prompt // size])
        return shared, whole - len(shared)

    def _fits(self, task: Task) -> bool:
        shared, private = self._blocks(task)
        hits = self._hits(shared)
        idle = [block for block in self.memory.idle if block not in hits]
        return self.memory.used() - len(idle) + (len(shared) - len(hits)) + private <= self.memory.capacity

    def _hits(self, shared: Sequence[int]) -> list[int]:
        hits: list[int] = []
        for block in shared:
            if block not in self.memory.known:
                break
            hits.append(block)
        return hits

    def _next(self) -> Task | None:
        if not self.queue or len(self.running) >= self.serving.max_batch:
            return None
        task = self.queue[0]
        while not self._fits(task) and not self.running and self.pins:
            self._unpin(min(self.pins, key=lambda pin: pin[0]))
        return self.queue.pop(0) if self._fits(task) else None

    def _prefill(self, task: Task) -> None:
        shared, private = self._blocks(task)
        task.begun = self.time
        task.cached = min(len(self._hits(shared)) * self.serving.block, task.asked.prompt - 1)
        for block in shared:
            self.memory.hold(block)
        self.memory.private += private
        self.memory.shrink()
        for pin in [pin for pin in self.pins if pin[1] and pin[1] == task.asked.program]:
            self._unpin(pin)
        self.most = max(self.most, len(self.running) + 1)
        self.time += self.serving.prefill + self.serving.per_prompt_token * (task.asked.prompt - task.cached)
        if task.asked.gone <= self.time:
            task.lost = True
            self.memory.drop(shared)
            self.memory.private -= private
            return
        task.first = self.time
        task.decoded = 1
        self.running.append(task)

    def _decode(self) -> None:
        serving = self.serving
        context = sum(task.asked.prompt + task.decoded for task in self.running)
        self.time += serving.iteration + serving.per_sequence * len(self.running)
        self.time += serving.per_context * context
        for task in self.running:
            task.decoded += 1

    def _release(self, task: Task) -> None:
        self.running.remove(task)
        shared, private = self._blocks(task)
        size = self.serving.block
        more = task.asked.blocks[len(shared) : (task.asked.prompt + task.decoded) // size]
        self.memory.private -= private
        for block in more:
            self.memory.hold(block)
        whole = (*shared, *more)
        if task.asked.program and self.serving.pin and not task.lost:
            for pin in [pin for pin in self.pins if pin[1] == task.asked.program]:
                self._unpin(pin)
            self.pins.append((self.time + self.serving.pin, task.asked.program, whole))
        else:
            self.memory.drop(whole)

    def _unpin(self, pin: tuple[float, str, tuple[int, ...]]) -> None:
        self.pins.remove(pin)
        self.memory.drop(pin[2])
