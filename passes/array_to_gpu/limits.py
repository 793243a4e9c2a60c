"""Numbers that shape launches; what they should be was found by reasoning, not by measuring a device."""

from flowc.dialects import device

WARP = device.WARP
"""Threads that go together."""
BLOCK = 256
"""Threads of a block: several blocks share a multiprocessor."""
WARPS = BLOCK // WARP
MOST_BLOCKS = 4096
"""Blocks of a launch at most: more than any device runs at once; what is left is reached by strides."""
VECTOR_BYTES = 16
"""The widest access of a thread."""
MOST_NARROW = 1 << 30
"""Elements that positions of 32 bits can count, with room for a stride beyond the last."""
TOO_WIDE = 13
"""The status of code with narrow positions that has met more elements."""
