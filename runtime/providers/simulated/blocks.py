"""The key-value cache of a simulated server: finite blocks, shared by prefix, evicted or pinned.

A block holds the keys and values of a fixed number of tokens, as in vLLM (Kwon et al., "Efficient memory
management for large language model serving with PagedAttention", SOSP 2023). A full block has an id that
stands for all tokens up to its end, so equal ids are equal prefixes. Blocks in use are counted by their
users; blocks without a user stay until room is needed, the least recently used first. A pin is a user that
holds the blocks of a program between two of its calls until a deadline (Li et al., "Continuum: Efficient and
robust multi-turn LLM agent scheduling with KV cache time-to-live", 2025).
"""

from collections import OrderedDict
from collections.abc import Sequence
from heapq import heappop, heappush

from attrs import frozen


@frozen(eq=False)
class Pin:
    """Blocks that a program holds until `deadline`, in seconds."""

    program: str
    deadline: float
    blocks: tuple[int, ...]


class BlockCache:
    """At most `capacity` blocks: private ones, which nobody can share, and known ones by their id."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.private = 0
        self.users: dict[int, int] = {}
        self.idle: OrderedDict[int, None] = OrderedDict()
        self.pins: dict[str, Pin] = {}
        self.deadlines: list[tuple[float, int, Pin]] = []
        self.pinned = 0
        self.evicted = 0
        self.peak = 0

    @property
    def used(self) -> int:
        """Blocks that hold something, wanted or not."""
        return self.private + len(self.users)

    def match(self, blocks: Sequence[int]) -> tuple[int, int]:
        """How many of the first of these blocks are there, and how many of those are idle."""
        users = self.users
        found = idle = 0
        for block in blocks:
            count = users.get(block)
            if count is None:
                break
            found += 1
            if count == 0:
                idle += 1
        return found, idle

    def fits(self, new: int, idle: int) -> bool:
        """Whether `new` blocks fit when `idle` of the idle ones are taken into use."""
        return self.used + new - (len(self.idle) - idle) <= self.capacity

    def take(self, blocks: Sequence[int], private: int) -> None:
        """Takes these blocks and `private` others into use; the caller has asked `fits` before."""
        users, idle = self.users, self.idle
        for position, block in enumerate(blocks):
            count = users.get(block)
            if count is None:
                rest = blocks[position:]
                if users.keys().isdisjoint(rest) and len(rest) == len(set(rest)):
                    users.update(dict.fromkeys(rest, 1))  # the usual case: after a gap all are new
                    break
                count = 0
            elif count == 0:
                del idle[block]
            users[block] = count + 1
        self.private += private
        self._shrink()
        self.peak = max(self.peak, self.used)

    def give_back(self, blocks: Sequence[int], private: int) -> None:
        """Ends one use of these blocks. They stay as long as there is room, the last ones leave first."""
        users, idle = self.users, self.idle
        for block in reversed(blocks):
            count = users[block] - 1
            users[block] = count
            if count == 0:
                idle[block] = None
        self.private -= private

    def keep(self, blocks: Sequence[int]) -> None:
        """Turns private blocks, now filled, into known ones with one user; one that is known twice is
        given up.
        """
        for block in blocks:
            count = self.users.get(block)
            if count == 0:
                del self.idle[block]
            self.users[block] = (count or 0) + 1
        self.private -= len(blocks)

    def pin(self, program: str, deadline: float, blocks: tuple[int, ...]) -> None:
        """Hands one use of these blocks to the program, in place of what it held before."""
        self.unpin(program)
        pin = Pin(program, deadline, blocks)
        self.pins[program] = pin
        self.pinned += 1
        heappush(self.deadlines, (deadline, self.pinned, pin))

    def unpin(self, program: str) -> None:
        """The program holds nothing any more."""
        pin = self.pins.pop(program, None)
        if pin is not None:
            self.give_back(pin.blocks, 0)

    def deadline(self) -> float:
        """When the next pin ends; infinity without pins."""
        deadlines = self.deadlines
        while deadlines:
            deadline, _, pin = deadlines[0]
            if self.pins.get(pin.program) is pin:
                return deadline
            heappop(deadlines)
        return float("inf")

    def expire(self, now: float) -> None:
        """Ends the pins whose time is over."""
        while self.deadline() <= now:
            self.unpin(self.deadlines[0][2].program)

    def break_pin(self) -> bool:
        """Ends the pin that would end next; False where there is none."""
        if self.deadline() == float("inf"):
            return False
        self.unpin(self.deadlines[0][2].program)
        return True

    def _shrink(self) -> None:
        over = self.used - self.capacity
        if over > 0:
            users, oldest = self.users, self.idle.popitem
            for _ in range(over):
                del users[oldest(last=False)[0]]
            self.evicted += over
