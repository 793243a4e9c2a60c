"""Temporaries of one call of a kernel: what the call has freed it gets again.

Host code allocates and frees in the order of one stream, so that memory which was freed can be used by what
is launched next, whether or not the device has come so far.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable

from attrs import define, field

from flowc.runtime.device.protocol import Block

GRAIN = 512
"""Sizes are multiples of it, as alignments that any access of a device is content with."""


def grained(size: int) -> int:
    """Bytes to ask for, so that blocks fit again.

    >>> grained(0), grained(700)
    (512, 1024)
    """
    return max(-(-size // GRAIN), 1) * GRAIN


@define(eq=False)
class Arena:
    """The temporaries of a call.

    A block that is freed is given to the next who asks for no more than it has and no less than half of it.
    """

    blocks: dict[int, tuple[Block, int]] = field(factory=dict)
    unused: list[tuple[int, int]] = field(factory=list)

    def take(self, size: int, make: Callable[[int], Block]) -> int:
        """The address of at least `size` bytes, freed ones or made ones; raises what `make` raises."""
        wanted = grained(size)
        place = bisect_left(self.unused, (wanted, 0))
        if place < len(self.unused) and self.unused[place][0] <= 2 * wanted:
            return self.unused.pop(place)[1]
        block = make(wanted)
        self.blocks[block.address] = block, wanted
        return block.address

    def give(self, address: int) -> None:
        """Takes back what `take` gave."""
        insort(self.unused, (self.blocks[address][1], address))

    def sizes(self) -> tuple[int, ...]:
        """The sizes of its blocks, in the order in which they were made."""
        return tuple(size for _, size in self.blocks.values())

    def stock(self, sizes: Iterable[int], make: Callable[[int], Block]) -> None:
        """Makes blocks before they are asked for; raises what `make` raises."""
        for address in [self.take(size, make) for size in sizes]:
            self.give(address)

    def empty(self) -> list[Block]:
        """Forgets all blocks; gives them to whoever must keep them longer."""
        found = [block for block, _ in self.blocks.values()]
        self.blocks.clear()
        self.unused.clear()
        return found
