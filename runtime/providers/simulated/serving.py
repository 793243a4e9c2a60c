"""A simulated inference server: continuous batching over a paged cache, as discrete events.

The server works in iterations, as Orca does (Yu et al., OSDI 2022). Before each iteration it looks at its
queue. Where the first job in it fits, the next iteration is the prefill of that job, during which the others
wait (prefill first); it costs time for each prompt token that the cache does not hold, and gives the first
token of the answer. Otherwise the next iteration gives every running job one token. A job is let in only when
the blocks of its prompt and its whole answer are free, so that it is never thrown out again (reservation, as
TensorRT-LLM's GUARANTEED_NO_EVICT).

Tokens are not stepped through. All running jobs decode in step, so the server counts iterations, keeps the
iteration at which each job ends in a heap, and knows the time of any iteration in closed form: an event costs
O(log n) however many tokens lie between. The caller owns the clock: it hands the time in, and asks when
something will happen next.

    server = Server(Serving())
    server.submit(now, Job(prompt=1200, answer=80))
    while server.next_event() < inf:
        for time, job, tokens in server.advance(server.next_event()): ...
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush

from attrs import define, field

from flowc.runtime.providers.simulated.behaviour import Serving
from flowc.runtime.providers.simulated.blocks import BlockCache

INFINITE = float("inf")

WAITING, PREFILL, RUNNING, ENDED, CANCELLED = "waiting", "prefill", "running", "ended", "cancelled"


@define(eq=False)
class Job:
    """One request, as the server sees it; the second part is filled in by the server.

    `blocks` are the ids of the full blocks of the prompt and then of the answer; what they do not cover is
    private. `order` is the key by which a server with the policy `priority` lets jobs in, the smallest first
    (any value that compares: a number or a tuple). `program` names who keeps pinned blocks between its calls.
    `marks` are counts of answer tokens below `answer` at which the caller wants an event; there is always one
    at the end.
    """

    prompt: int
    answer: int
    blocks: Sequence[int] = ()
    order: float | tuple[float, ...] = 0.0
    program: str = ""
    marks: tuple[int, ...] = ()

    state: str = WAITING
    arrived: float = math.nan
    begun: float = math.nan
    first: float = math.nan
    ended: float = math.nan
    cached: int = 0
    decoded: int = 0
    joined: int = 0
    shared: Sequence[int] = ()
    private: int = 0

    @property
    def queued(self) -> float:
        """Seconds between arrival and prefill."""
        return self.begun - self.arrived


Event = tuple[float, Job, int]
"""When, whose, and how many tokens of the answer were there then; at `job.answer` the job has ended."""


@define(eq=False)
class Statistics:
    """What a server has done. Tokens of prompts were computed (`prefilled`) or found in the cache."""

    jobs: int = 0
    cancelled: int = 0
    prefilled: int = 0
    cached: int = 0
    decoded: int = 0
    queued: float = 0.0
    busy: float = 0.0
    peak_batch: int = 0


@define(eq=False)
class Server:
    """One model's server. Times are seconds of the caller's clock and never run back."""

    serving: Serving
    cache: BlockCache = field(init=False)
    statistics: Statistics = field(factory=Statistics)
    clock: float = 0.0
    """When the last iteration that matters ended."""
    steps: int = 0
    """Iterations of decoding until `clock`."""
    batch: int = 0
    """Jobs that decode."""
    context: int = 0
    """Tokens that those have in the cache, at `clock`."""
    prefilling: Job | None = None
    until: float = INFINITE
    """When the state changes next, by itself."""
    span: int = 0
    """How many iterations of decoding lie between `clock` and `until`."""
    queue: list[tuple[float | tuple[float, ...], int, Job]] = field(factory=list)
    goals: list[tuple[int, int, Job, int]] = field(factory=list)
    leaving: list[Job] = field(factory=list)
    happened: list[Event] = field(factory=list)
    waiting: int = 0
    numbered: int = 0

    def __attrs_post_init__(self) -> None:
        self.cache = BlockCache(self.serving.blocks)

    def holds(self, job: Job) -> bool:
        """Whether the job could ever be served: its tokens fit into an empty cache."""
        return -(-(job.prompt + job.answer) // self.serving.block) <= self.cache.capacity

    def next_event(self) -> float:
        """When `advance` will have something to do; infinity where nothing is under way."""
        return self.clock if self.happened else self.until

    def submit(self, now: float, job: Job) -> None:
        """A job arrives. Jobs of one instant are let in by policy, whatever the order of these calls."""
        if not self.holds(job) or job.prompt < 1 or job.answer < 1:
            raise ValueError(f"a job of {job.prompt} + {job.answer} tokens can never be served")
        self._run(now, inclusive=False)
        job.arrived = now
        self.numbered += 1
        order = job.order if self.serving.policy == "priority" else 0.0
        heappush(self.queue, (order, self.numbered, job))
        self.waiting += 1
        self.statistics.jobs += 1
        if self.until == INFINITE:
            self.clock = max(self.clock, now)
            self.until, self.span = self.clock, 0
        else:
            self._look(now, job)

    def cancel(self, now: float, job: Job) -> None:
        """The caller lost interest: a waiting job goes at once, a running one after the iteration."""
        self._run(now, inclusive=False)
        if job.state in (ENDED, CANCELLED):
            return
        if job.state == WAITING:
            self.waiting -= 1
            job.state = CANCELLED
            self._look(now)
        elif job.state == RUNNING:
            self.leaving.append(job)
            if self.prefilling is None:
                self._boundary(now)
        job.state = CANCELLED
        job.ended = now
        self.statistics.cancelled += 1

    def advance(self, now: float) -> list[Event]:
        """Lets the time pass until `now` and returns what happened, in order."""
        self._run(now, inclusive=True)
        happened, self.happened = self.happened, []
        return happened

    def _run(self, now: float, inclusive: bool) -> None:
        while self.until < now or (inclusive and self.until == now != INFINITE):
            self._turn()

    def _turn(self) -> None:
        """The end of an iteration at which something changes, and the choice of the next."""
        self.statistics.busy += self.until - self.clock
        self.context += self.batch * self.span
        self.steps += self.span
        self.clock = self.until
        if self.cache.pins:
            self.cache.expire(self.clock)
        if self.prefilling is not None:
            self._prefilled(self.prefilling)
        self._reached()
        if self.leaving:
            self._leave()
        self._choose()

    def _choose(self) -> None:
        if self.waiting and self._admit():
            return
        self.span = 0
        self.until = INFINITE
        if self.batch:
            self._decode()

    def _decode(self) -> None:
        """Decodes until the next goal, or until a pin ends that keeps the queue waiting."""
        while self.goals[0][2].state != RUNNING:
            heappop(self.goals)
        self.span = self.goals[0][0] - self.steps
        self.until = self.clock + self._lasts(self.span)
        if self.waiting and self.batch < self.serving.max_batch:
            self._boundary(self.cache.deadline())

    def _lasts(self, iterations: int) -> float:
        """Seconds of so many iterations of decoding: each makes the context longer by the batch."""
        serving = self.serving
        first = serving.iteration + serving.per_sequence * self.batch + serving.per_context * self.context
        growth = serving.per_context * self.batch
        return iterations * first + growth * (iterations * (iterations - 1) / 2)

    def _boundary(self, time: float) -> None:
        """Ends the iterations under way at the first one that ends at `time` or later."""
        if time >= self.until or not self.span:
            return
        count = self._guess(time - self.clock)
        if self._ends(count) < time or (count and self._ends(count - 1) >= time):  # rounding: search for it
            count = bisect_left(range(self.span), time, key=self._ends)
        self.span = count
        self.until = self._ends(count)

    def _ends(self, iterations: int) -> float:
        """When so many iterations have ended."""
        return self.clock + self._lasts(iterations)

    def _guess(self, seconds: float) -> int:
        """About how many iterations take so long: the root of what `_lasts` says."""
        growth = self.serving.per_context * self.batch
        linear = self._lasts(1) - growth / 2
        if seconds <= 0:
            return 0
        if not growth:
            return min(self.span, math.ceil(seconds / linear))
        return min(self.span, math.ceil((math.sqrt(linear**2 + 2 * growth * seconds) - linear) / growth))

    def _look(self, now: float, came: Job | None = None) -> None:
        """The queue has another first job: where it fits, it is let in after the iteration under way."""
        if self.prefilling is not None or self.batch >= self.serving.max_batch:
            return
        head = self._head()
        if head is not None and came in (None, head):
            fits = self._room(head) is not None
            self._boundary(now if fits else max(now, self.cache.deadline()))

    def _head(self) -> Job | None:
        while self.queue and self.queue[0][2].state == CANCELLED:
            heappop(self.queue)
        return self.queue[0][2] if self.queue else None

    def _room(self, job: Job) -> tuple[int, int] | None:
        """How many blocks of the prompt are cached and how many blocks the job has, if they fit now."""
        block = self.serving.block
        total = -(-(job.prompt + job.answer) // block)
        found, idle = self.cache.match(job.blocks[: job.prompt // block])
        return (found, total) if self.cache.fits(total - found, idle) else None

    def _admit(self) -> bool:
        """Begins the prefill of the queue's first job, if it fits."""
        job = self._head()
        if job is None or self.batch >= self.serving.max_batch:
            return False
        room = self._room(job)
        while room is None and not self.batch and self.cache.break_pin():
            room = self._room(job)  # nothing runs that could make room: pins yield, so no job waits forever
        if room is None:
            return False
        heappop(self.queue)
        self.waiting -= 1
        found, total = room
        block = self.serving.block
        job.shared = job.blocks[: job.prompt // block]
        job.private = total - len(job.shared)
        self.cache.take(job.shared, job.private)
        if job.program:
            self.cache.unpin(job.program)
        job.cached = min(found * block, job.prompt - 1)
        job.state = PREFILL
        job.begun = self.clock
        self.statistics.queued += job.queued
        self.statistics.cached += job.cached
        self.statistics.prefilled += job.prompt - job.cached
        self.statistics.peak_batch = max(self.statistics.peak_batch, self.batch + 1)
        self.prefilling = job
        self.span = 0
        cost = self.serving.prefill + self.serving.per_prompt_token * (job.prompt - job.cached)
        self.until = self.clock + cost
        return True

    def _prefilled(self, job: Job) -> None:
        """The prefill is over: the answer has its first token, and the job decodes with the others."""
        self.prefilling = None
        if job.state == CANCELLED:
            self.cache.give_back(job.shared, job.private)
            return
        job.state = RUNNING
        job.first = self.clock
        job.joined = self.steps
        self.batch += 1
        self.context += job.prompt + 1
        for mark in (*job.marks, job.answer):
            self.numbered += 1
            heappush(self.goals, (self.steps + mark - 1, self.numbered, job, mark))

    def _reached(self) -> None:
        """Tells of the goals that the running jobs have reached, and lets ended ones go."""
        while self.goals and self.goals[0][0] <= self.steps:
            _, _, job, mark = heappop(self.goals)
            if job.state != RUNNING:
                continue
            if mark < job.answer:
                self.happened.append((self.clock, job, mark))
                continue
            job.state = ENDED
            job.ended = self.clock
            self._free(job, job.answer)
            self.happened.append((self.clock, job, mark))

    def _leave(self) -> None:
        for job in self.leaving:
            self._free(job, min(job.answer, self.steps - job.joined + 1))
        self.leaving.clear()

    def _free(self, job: Job, decoded: int) -> None:
        """Takes a job out of the batch; what it computed stays in the cache while there is room."""
        self.batch -= 1
        self.context -= job.prompt + 1 + self.steps - job.joined
        job.decoded = decoded
        self.statistics.decoded += decoded
        block = self.serving.block
        kept = job.blocks[len(job.shared) : (job.prompt + decoded) // block]
        self.cache.keep(kept)
        whole = (*job.shared, *kept)
        private = job.private - len(kept)
        if job.program and self.serving.pin > 0 and job.state == ENDED:
            self.cache.give_back((), private)
            self.cache.pin(job.program, self.clock + self.serving.pin, whole)
        else:
            self.cache.give_back(whole, private)
