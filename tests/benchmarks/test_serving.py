"""Many programs before one server, at small size: what flowc gains by order and admission holds."""

import pytest

from benchmarks.agents import critical_chain, multi_turn
from flowc.runtime.admission.calls import FULL, Policy


def test_agents_of_many_turns_are_completed_faster_than_first_come_first_served() -> None:
    peer = multi_turn.served(98_304, 24, None)
    ours = multi_turn.served(98_304, 24, FULL)
    assert ours.answers == peer.answers
    assert ours.statistics.decoded == peer.statistics.decoded, "the same calls and tokens"
    assert ours.hits > peer.hits
    assert ours.rate >= multi_turn.BAR * peer.rate


def test_where_all_contexts_fit_admission_costs_nothing() -> None:
    peer = multi_turn.served(393_216, 12, None, at_once=12)
    ours = multi_turn.served(393_216, 12, FULL, at_once=12)
    assert ours.rate == pytest.approx(peer.rate, rel=0.02)


def test_chains_are_ahead_of_what_is_short_at_the_same_throughput() -> None:
    peer = critical_chain.observed(1.25, None, share=0.25)
    ours = critical_chain.observed(1.25, FULL, share=0.25)
    plain = critical_chain.observed(1.25, Policy(rank=False, age=False), share=0.25)
    assert ours.chain <= critical_chain.BAR * peer.chain
    assert ours.rate >= 0.99 * peer.rate
    assert plain.chain == pytest.approx(peer.chain, rel=0.1), "without its rules the gate is first come too"
