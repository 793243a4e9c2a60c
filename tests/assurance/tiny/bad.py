"""Campaigns that fail, each in its own way."""

import os
import signal
import time
from random import Random

from hypothesis import strategies as st

from tests.assurance.campaign import Campaign, Tally, examples


def _wrong(example: int, tally: Tally) -> None:
    tally.tried["programs"] += 1
    assert example < 1000, "too large"


def _dies(chance: Random, tally: Tally) -> None:
    os.write(2, b"last words\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def _leaves(chance: Random, tally: Tally) -> None:
    os._exit(3)


def _hangs(chance: Random, tally: Tally) -> None:
    time.sleep(1000)


CAMPAIGNS = (
    Campaign("wrong", examples(st.integers(0, 100_000), _wrong, 100)),
    Campaign("dies", _dies),
    Campaign("leaves", _leaves),
    Campaign("hangs", _hangs, limit=0.5),
)
