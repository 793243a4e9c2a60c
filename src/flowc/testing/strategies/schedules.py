"""Schedules of faults: which call of a flow's operations goes wrong, and how."""

from hypothesis import strategies as st

from flowc.testing.flows.faults import FAULTS, Fault
from flowc.testing.flows.targets import Testable, target_of

LATEST = 6
"""The last call of an operation that a drawn fault is at."""
MOST = 4
"""How many faults one schedule has."""


def faults(flow: Testable, *, most: int = MOST) -> st.SearchStrategy[tuple[Fault, ...]]:
    """Faults of the models and tools that a flow calls, none first."""
    operations = target_of(flow).plan.operations.values()
    possible = [(each.name, how) for each in operations for how in FAULTS.get(each.kind, ())]
    if not possible:
        return st.just(())
    one = st.builds(
        lambda chosen, number: Fault(chosen[0], number, chosen[1]),
        st.sampled_from(possible),
        st.integers(0, LATEST),
    )
    return st.lists(one, max_size=most).map(tuple)
