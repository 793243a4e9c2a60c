"""The one way in which the reference semantics refuses."""


class KernelFault(Exception):
    """What a kernel reports instead of a result: a position, a count or an extent that does not fit."""
