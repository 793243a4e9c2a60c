"""Plans as JSON and as artifacts, both ways, and with something in them changed."""

import io
import json
import zipfile
from pathlib import Path
from random import Random

from flowc.runtime.artifact import Artifact, unpack, write
from flowc.runtime.plan import Plan
from flowc.runtime.plan_check import REGIONS, check_plan
from flowc.runtime.plan_json import dumps, from_json, loads
from flowc.testing.strategies.changes import changed_json, damaged
from flowc.testing.strategies.choices import Choices, from_random
from flowc.testing.strategies.plans import drawn_plan
from tests.assurance.campaign import Campaign, Tally, Wrong, refusal

ROUNDS = 40
CHANGES = 20
REFUSED = frozenset({"E0640", "E0641", "E0642", "E0643", "E0644", "E0645"})
WHERE = Path("drawn.flowc")


def holds(plan: Plan) -> str:
    """Checks what must hold of every plan: it can run, and reads back equal; gives its text."""
    check_plan(plan)
    text = dumps(plan)
    again = loads(text)
    if again != plan or dumps(again) != text:
        raise Wrong(f"reads back as another plan:\n{text}")
    return text


def packed(plan: Plan, choices: Choices) -> bytes:
    """Checks that an artifact gives back what was put in, by the same bytes; gives them."""
    sources = {f"{number}/größe.flow": choices.one([b"", b"flow", b"\x00" * 99]) for number in range(2)}
    artifact = Artifact(plan, {"k.o": b"\x7fELF"}, sources, properties={"x": [1, None]}, compiler="1.2")
    content = write(artifact)
    if unpack(content, WHERE) != artifact or write(unpack(content, WHERE)) != content:
        raise Wrong(f"its artifact gives back something else:\n{dumps(plan)}")
    return content


def changed(text: str, choices: Choices) -> str | None:
    """Reads a plan with something changed: gives the code of the refusal; None if it is valid."""
    written = changed_json(choices, json.loads(text))
    try:
        plan = from_json(written)
    except Exception as error:
        return refusal(error, REFUSED, json.dumps(written))
    holds(plan)
    return None


def tampered(content: bytes, choices: Choices) -> str | None:
    """Reads a damaged artifact: gives the code of the refusal; None where it is what it was."""
    broken = damaged(choices, content)
    try:
        artifact = unpack(broken, WHERE)
    except Exception as error:
        return refusal(error, REFUSED, broken)
    if artifact != unpack(content, WHERE):
        raise Wrong(f"a damaged artifact is read as another: {broken!r}")
    return None


def repacked(content: bytes, choices: Choices) -> None:
    """Reads an artifact of which somebody changed a member and packed it anew, without the seal."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        chosen = choices.one(old.namelist())
        for name in old.namelist():
            new.writestr(name, damaged(choices, old.read(name)) if name == chosen else old.read(name))
    try:
        artifact = unpack(buffer.getvalue(), WHERE)
    except Exception as error:
        refusal(error, REFUSED, buffer.getvalue())
        return
    whole = unpack(content, WHERE)
    if (artifact.plan, artifact.kernels, artifact.sources) != (whole.plan, whole.kernels, whole.sources):
        raise Wrong(f"a changed member {chosen} is read: {buffer.getvalue()!r}")


def case(chance: Random, tally: Tally, rounds: int = ROUNDS, changes: int = CHANGES) -> None:
    """Plans over every kind of node."""
    choices = from_random(chance)
    for _ in range(rounds):
        plan = drawn_plan(choices, choices.one([*REGIONS]))
        text, content = holds(plan), packed(plan, choices)
        tally.tried["plans"] += 1
        for _ in range(changes):
            changed(text, choices)
            tampered(content, choices)
        repacked(content, choices)
        tally.tried["inputs"] += 2 * changes + 1


CAMPAIGN = Campaign("plans", case)
