"""How many programs, and kernels, are generated a second on one core: `python -m tests.assurance.speed`."""

import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowc.testing.strategies.choices import from_random
from flowc.testing.strategies.kernels import drawn_kernel, every_program
from flowc.testing.strategies.leaks import leaking_programs
from flowc.testing.strategies.programs import random_program, typed_programs


def generated(strategy: st.SearchStrategy[Any], seconds: float) -> int:
    """How many examples of a strategy are made in so many seconds of this process."""
    count, ends = 0, 0.0

    @settings(
        max_examples=100,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def make(_: Any) -> None:
        nonlocal count
        count += 1

    make()  # the first ones also read the tables
    count, ends = 0, time.process_time() + seconds
    while time.process_time() < ends:
        make()
    return count


def drawn(make: Callable[[Random], Any], seconds: float) -> int:
    """How many are made of plain random numbers in so many seconds of this process."""
    chance, count, ends = Random(1), 0, time.process_time() + seconds
    while time.process_time() < ends:
        make(chance)
        count += 1
    return count


SPEEDS: dict[str, Callable[[float], int]] = {
    "typed programs": lambda seconds: generated(typed_programs(), seconds),
    "programs from a plain random source": lambda seconds: drawn(random_program, seconds),
    "leaking programs": lambda seconds: generated(leaking_programs(), seconds),
    "kernels": lambda seconds: drawn(lambda chance: drawn_kernel(from_random(chance)), seconds),
    "kernels of Hypothesis": lambda seconds: generated(every_program(), seconds),
}
"""What generates for so many seconds, and counts, by its name."""


def main(seconds: float) -> None:
    """Prints each speed."""
    for name, generate in SPEEDS.items():
        start = time.process_time()
        count = generate(seconds)
        print(f"{name}: {count / (time.process_time() - start):.0f} a second")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
