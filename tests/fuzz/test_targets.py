"""Every reader of outside bytes holds what a target must hold: on its corpus, on all that once broke it, on
some mutations; and the harness sees it where one does not.
"""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from tests.assurance.campaign import Tally
from tests.assurance.campaigns import fuzz
from tests.fuzz.contract import Target, attempt, little_memory
from tests.fuzz.keeping import kept, minimised
from tests.fuzz.mutation import by_bytes, by_json, by_words
from tests.fuzz.registry import FOLDER, TARGETS, corpus
from tests.fuzz.registry import kept as kept_inputs
from tests.fuzz.shrinking import smaller

SEEDS = 10
MUTATIONS = 50
"""Of a target with a share of 1 or more; fewer of those that take longer."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_or_refuses_whatever_comes(name: str) -> None:
    target, inputs, chance = TARGETS[name], corpus(name), Random(crc32(name.encode()))
    count = max(int(MUTATIONS * min(target.share, 1.0)), 5)
    mutated = [target.mutate(chance, inputs) for _ in range(count)]
    with little_memory():
        for data in (*inputs[:SEEDS], *map(Path.read_bytes, kept_inputs(name)), b"", b"\xff\xfe", *mutated):
            failure = attempt(target, data)
            assert failure is None, kept(minimised(target, failure))


def test_every_kept_input_is_of_a_target() -> None:
    for folder in ("corpus", "regressions"):
        assert {path.name for path in (FOLDER / folder).glob("*")} <= set(TARGETS)


def _raises(data: bytes) -> None:
    if b"!" in data:
        raise KeyError("?")


def _hangs(data: bytes) -> None:
    try:
        while b"!" in data:
            pass
    except Exception:
        return


def _recurses(data: bytes) -> None:
    _recurses(data)


def _eats(data: bytes) -> None:
    bytearray(1 << 34)


def _target(run: Callable[[bytes], None], seconds: float = 5.0) -> Target:
    return Target("bad", run, lambda: [b"good"], by_words("!"), seconds=seconds)


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (_target(_raises), "KeyError in test_targets.py"),
        (_target(_hangs, 0.05), "Hung"),
        (_target(_recurses), "RecursionError"),
        (_target(_eats), "MemoryError"),
    ],
    ids=["raises", "hangs", "recurses", "eats memory"],
)
def test_a_reader_that_does_not_hold_it_is_found(target: Target, place: str) -> None:
    with little_memory():
        failure = attempt(target, b"line\nwell!\n")
    assert failure is not None
    assert failure.place.startswith(place)


def test_a_hang_is_ended_only_where_there_is_one() -> None:
    assert attempt(_target(_hangs, 0.01), b"good") is None
    until = time.process_time() + 0.03
    while time.process_time() < until:  # no alarm is left behind
        pass


def test_a_failing_input_is_made_small_and_kept(tmp_path: Path) -> None:
    target = _target(_raises)
    failure = attempt(target, b"a line\nanother one\nthe! third\n" * 20)
    assert failure is not None
    least = minimised(target, failure)
    assert least.data == b"!"
    said = kept(least, tmp_path)
    path = tmp_path / least.name
    assert path.read_bytes() == b"!"
    assert f"python -m tests.fuzz bad {path}" in said
    assert "KeyError" in said


def test_what_is_made_small_still_fails() -> None:
    def fails(data: bytes) -> bool:
        return data.count(b"(") > 3 and b"xy" in data

    assert sorted(smaller(b"a(b)\n" * 30 + b"..xy..\n" + b"((()))", fails)) == sorted(b"((((xy")


def test_mutations_depend_on_the_seed_alone_and_differ() -> None:
    for mutate in (by_bytes, by_words("if", "else"), by_json("name")):
        seeds = [b'{"name": [1, 2.5, "x"], "more": {"a": null}}', b"[]"]
        drawn = [[mutate(Random(seed), seeds) for seed in range(200)] for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert len(set(drawn[0])) > 150


def test_numbers_beyond_all_floats_are_mutated() -> None:
    least = [b'{"a": -1' + b"0" * 400 + b"}"]
    assert b'{"a": -1e+300}' in {by_json()(Random(seed), least) for seed in range(2000)}


def test_a_campaign_of_a_bad_reader_ends_with_its_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fuzz, "TARGETS", {"bad": _target(_raises)})
    monkeypatch.setattr(fuzz, "corpus", lambda _: (b"good",))
    monkeypatch.setattr("tests.fuzz.keeping.CRASHES", tmp_path)
    tally = Tally()
    fails = [seed for seed in range(20) if _fails(Random(seed), tally)]
    assert fails
    assert tally.tried["inputs"] > 0
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"!"}


def _fails(chance: Random, tally: Tally) -> bool:
    try:
        fuzz.case(chance, tally)
    except AssertionError as error:
        return "KeyError" in str(error)
    return False
