"""Behaviours of models: from one that says what is plain to one that does all that models do."""

from hypothesis import strategies as st

from flowc.testing.flows.adversary import Behaviour

SHARES = (0.0, 0.1, 0.5, 1.0)
"""Shares that faults are drawn from: none first, for what shrinks."""


@st.composite
def behaviours(draw: st.DrawFn, *, valid: bool = False) -> Behaviour:
    """How a model behaves; with `valid` it answers what its schema allows, and its endpoint does not fail."""
    shares = st.sampled_from(SHARES)
    return Behaviour(
        extreme=draw(shares),
        unusable=0.0 if valid else draw(shares),
        failing=0.0 if valid else draw(shares),
        slow=0.0 if valid else draw(shares),
        seed=draw(st.integers(0, 2**16)),
    )
