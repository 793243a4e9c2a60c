"""Records in segments: what comes back is what was written, or an error that says which record is not."""

import random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import Framer, after, start, unframe
from flowc.runtime.journal.store import Segment

GROUPS = st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=4), min_size=1, max_size=5)
THREE = [[b"one", b"two"], [b""], [b"three" * 3, b"four"]]


def framed(groups: list[list[bytes]], run: str = "run") -> list[Segment]:
    framer = Framer(run, 0, start(run))
    return [framer.frame(payloads) for payloads in groups]


def flaw(segments: list[Segment]) -> str:
    """What is said of segments that are damaged."""
    with pytest.raises(FlowError) as error:
        list(unframe(segments))
    assert error.value.problem.code == "E0910"
    return error.value.problem.message


@given(GROUPS)
def test_records_come_back_with_their_numbers(groups: list[list[bytes]]) -> None:
    flat = [payload for group in groups for payload in group]
    assert list(unframe(framed(groups))) == list(enumerate(flat))


@given(GROUPS, st.data())
def test_a_run_goes_on_where_its_last_segment_ends(groups: list[list[bytes]], data: st.DataObject) -> None:
    segments = framed(groups)
    kept = data.draw(st.integers(1, len(groups)))
    framer = Framer("run", *after(segments[kept - 1]))
    assert [framer.frame(payloads) for payloads in groups[kept:]] == segments[kept:]
    tail = list(unframe(segments[kept - 1 :]))
    assert tail == list(unframe(segments))[-len(tail) :]


def test_a_framer_collects_and_takes() -> None:
    framer = Framer("run", 0, start("run"))
    framer.add(b"one")
    framer.add(b"two")
    framer.status = "ok"
    assert framer.take() == evolve(framed([[b"one", b"two"]])[0], status="ok")
    framer.add(b"three")
    assert (framer.take().first, framer.first) == (2, 3)


def test_every_flipped_bit_is_found_in_its_record() -> None:
    whole = framed(THREE)
    for place, segment in enumerate(whole):
        for bit in range(8 * len(segment.body)):
            body = bytearray(segment.body)
            body[bit // 8] ^= 1 << bit % 8
            broken = [*whole[:place], evolve(segment, body=bytes(body)), *whole[place + 1 :]]
            said = flaw(broken)
            # A flaw in the last checksum shows where the next record hangs on it, at the latest.
            assert any(
                said == f"record {number} of run run is damaged"
                for number in range(segment.first, segment.first + segment.count + 1)
            )
            if place:
                assert flaw(broken[place:])  # read from there on, the record before it is not known


def test_every_length_that_a_body_may_be_cut_to_is_found() -> None:
    whole = framed(THREE)
    for place, segment in enumerate(whole):
        for length in range(len(segment.body)):
            flaw([*whole[:place], evolve(segment, body=segment.body[:length]), *whole[place + 1 :]])


@given(st.integers(0, 1000))
def test_damage_of_any_kind_never_gives_other_records(seed: int) -> None:
    """Bytes replaced, taken out, put in, swapped: a record is what it was, or an error comes before it."""
    chance = random.Random(seed)
    groups = [[chance.randbytes(chance.randrange(12)) for _ in range(chance.randint(1, 3))] for _ in range(4)]
    segments = framed(groups)
    place = chance.randrange(len(segments))
    body = bytearray(segments[place].body)
    begin, size = chance.randrange(len(body)), chance.randrange(6)
    body[begin : begin + size] = chance.randbytes(chance.randrange(6))
    segments[place] = evolve(segments[place], body=bytes(body))
    found = []
    try:
        for _, payload in unframe(segments):
            found.append(payload)
    except FlowError:
        pass
    flat = [payload for group in groups for payload in group]
    assert found == flat[: len(found)]
    if body != framed(groups)[place].body:
        assert len(found) < len(flat)


def test_a_lost_a_moved_and_a_repeated_segment_are_found() -> None:
    one, two, three = framed(THREE)
    assert flaw([one, three]) == "record 2 of run run is damaged"
    assert flaw([one, three, two]) == "record 2 of run run is damaged"
    assert flaw([one, two, two]) == "record 3 of run run is damaged"
    assert flaw([one, evolve(three, first=2), two]) == "record 2 of run run is damaged"


def test_a_segment_of_another_past_of_the_run_is_found() -> None:
    one, two, three = framed(THREE)
    _, other, last = framed([[b"not", b"so"], *THREE[1:]])
    assert flaw([one, other, last]) == "record 2 of run run is damaged"
    assert flaw([one, two, last]) == "record 3 of run run is damaged"
    assert flaw([two, last]) == "record 3 of run run is damaged"
    assert list(unframe([one, two, three]))


def test_a_segment_of_another_run_is_found() -> None:
    one, two, _ = framed(THREE)
    other = framed(THREE, "another")
    assert flaw([one, evolve(other[1], run="run")]) == "record 2 of run run is damaged"
    assert flaw([evolve(other[0], run="run")]) == "record 0 of run run is damaged"
    assert flaw([evolve(other[1], run="run")]) == "record 2 of run run is damaged"
    assert list(unframe([one, two]))


def test_a_segment_with_fewer_or_more_records_than_it_says_is_found() -> None:
    one, two, three = framed(THREE)
    assert flaw([one, evolve(two, count=2)]) == "record 3 of run run is damaged"
    assert flaw([evolve(one, count=1), two, three]) == "record 2 of run run is damaged"
    assert flaw([evolve(one, count=0)]) == "record 0 of run run is damaged"


def test_nothing_has_no_records() -> None:
    assert list(unframe([])) == []
