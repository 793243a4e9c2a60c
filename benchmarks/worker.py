"""A child process of a comparison: it prepares some ways to do one piece of work and times them on request.

One JSON object a line. The child first says which variants are ready and which are not and why; then each
line `{"run": NAME, "seconds": S}` is answered by the samples of one block. It imports nothing but the
standard library, since it runs in the peers' environment too.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

Call = Callable[[], object]
Prepare = Callable[[], Call]
"""Makes what one sample needs, such as fresh copies of what the work changes, and gives the work itself."""

LONGEST = 200
"""Samples in one block at most."""


def claim_output() -> TextIO:
    """The answers' own channel: whatever libraries print goes to standard error from now on."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def serve(
    channel: TextIO,
    variants: Mapping[str, Prepare],
    problems: Mapping[str, str],
    facts: Mapping[str, object],
    timed: Callable[[Prepare, float], list[float]] | None = None,
) -> None:
    """Answers until the parent closes the pipe; blocks are `timed` by the wall's clock unless said."""
    _say(channel, {"ready": list(variants), "problems": dict(problems), "facts": dict(facts)})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            samples = (timed or block)(variants[request["run"]], request["seconds"])
            answer: dict[str, object] = {"samples": samples}
        except Exception as error:  # a peer may fail in the middle: that is a finding, not the end
            answer = {"problem": describe(error)}
        _say(channel, answer)


def block(prepare: Prepare, seconds: float) -> list[float]:
    """Wall seconds of repeated calls: at least three, and for about `seconds` in all."""
    gc.collect()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < 3 or (time.perf_counter() < end and len(samples) < LONGEST):
        call = prepare()
        start = time.perf_counter()
        result = call()
        samples.append(time.perf_counter() - start)
        del result, call
    return samples


def repeated(call: Call) -> Prepare:
    """The same call each time."""
    return lambda: call


def describe(error: BaseException) -> str:
    """One line about a failure."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def keep_to(threads: int) -> None:
    """Holds this process to as many cores as it may use threads, the least used first."""
    with suppress(AttributeError, OSError):
        cores = sorted(os.sched_getaffinity(0))
        if threads < len(cores):
            os.sched_setaffinity(0, set(cores[-threads:]))


def _say(channel: TextIO, answer: Mapping[str, object]) -> None:
    channel.write(json.dumps(answer) + "\n")
    channel.flush()
