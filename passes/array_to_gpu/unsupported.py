"""What a device has no code for."""

from xdsl.ir import Operation


class Unsupported(Exception):
    """An operator, a dtype or a form of one for which there is no device code; `op` says where it stands."""

    def __init__(self, op: Operation, reason: str) -> None:
        super().__init__(reason)
        self.op = op
        self.reason = reason
