"""What tells machines apart on which kernels take different times."""

from flowc.runtime import processor
from flowc.runtime.native.width import usable_cores


def this_machine() -> str:
    """The processor, and the cores that may be used of it."""
    return f"{processor.host().cpu} x {usable_cores()}"
