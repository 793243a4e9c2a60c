"""What the code of a probed copy calls where faults would be: it notes which test has come there.

Written into the copy as `flowc/_probe.py`. pytest names the test that runs in the environment, so that the
threads and the processes that a test begins are told by it, too.
"""

import json
import os
from pathlib import Path

NOTES = Path(__file__).with_name("_reached.jsonl")
COLLECTED = "SOWN_COLLECTED"
"""In the environment: the file whose tests are collected now."""

_noted: set[tuple[str, str]] = set()


def reached(fault: str) -> None:
    """Notes, once in a process, that a test reaches a fault."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0] or os.environ.get(COLLECTED, "")
    if (fault, test) in _noted:
        return
    _noted.add((fault, test))
    with NOTES.open("ab", buffering=0) as file:  # one write: lines of several processes do not mix
        file.write(json.dumps([fault, test]).encode() + b"\n")
