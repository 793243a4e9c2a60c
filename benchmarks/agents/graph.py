"""A workload as bare calls with needs: what a scheduler sees, whoever writes it."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from benchmarks.agents.stage import Times


@frozen
class Call:
    """A call of an operation, told apart from others of the same by `key`, after the calls that it needs."""

    name: str
    operation: str
    needs: tuple[str, ...] = ()
    key: str = ""


def critical_path(calls: Iterable[Call], times: Times) -> float:
    """Seconds of the longest chain: no schedule ends before. `calls` come after their needs."""
    ends: dict[str, float] = {}
    for call in calls:
        begin = max((ends[need] for need in call.needs), default=0.0)
        ends[call.name] = begin + times.seconds(call.operation, call.key)
    return max(ends.values(), default=0.0)


def ordered(calls: Iterable[Call]) -> Mapping[str, Call]:
    """Calls by name, in their order."""
    return {call.name: call for call in calls}
