"""The recorded workflows of FLOWC_DATA, and forecasts for each of which its own runs are left out."""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from flowc.compiler.importers.wfcommons.packed import unpacked
from flowc.compiler.importers.wfcommons.reading import Workflow, read
from flowc.compiler.importers.wfcommons.samples import samples_of
from flowc.passes.cost.task_model import Forecast, forecasts, learn
from flowc.passes.cost.task_samples import Origin, Traits

WORKERS = (4, 16, 64)
MISSING = "FLOWC_DATA names no folder with wfinstances, so there is nothing to measure. "


@frozen
class Recorded:
    """A workflow, and the family that it is an instance of."""

    family: str
    workflow: Workflow


@functools.cache
def recorded(quick: bool = False, written: bool = True) -> tuple[Recorded, ...]:
    """All instances, none without FLOWC_DATA; with `quick` the small ones.

    Without `written` they do not say how large the files are that their own tasks write.
    """
    folder = Path(os.environ.get("FLOWC_DATA") or "", "wfinstances")
    if not os.environ.get("FLOWC_DATA") or not folder.is_dir():
        return ()
    return tuple(
        Recorded(path.parent.name, read(_text(path, written), str(path)))
        for path in sorted(folder.glob("*/*.json.gz"))
        if not quick or path.stat().st_size < 6_000
    )


def _text(path: Path, written: bool) -> str:
    text = unpacked(path.read_bytes(), str(path))
    if written:
        return text
    found = json.loads(text)
    specification = found["workflow"]["specification"]
    outputs = {file for task in specification["tasks"] for file in task.get("outputFiles", ())}
    specification["files"] = [each for each in specification["files"] if each["id"] not in outputs]
    return json.dumps(found)


Predicted = dict[str, list[Forecast | None]]
"""The forecasts of the tasks of each instance."""


@functools.cache
def without_configuration(quick: bool = False, written: bool = True) -> Predicted:
    """Forecasts from all instances but those of the same configuration."""
    known = recorded(quick, written)
    model = learn([sample for each in known for sample in samples_of(each.workflow)])
    return {name: forecasts(model, traits, origin) for name, traits, origin in map(_asked, known)}


@functools.cache
def without_family(quick: bool = False) -> Predicted:
    """Forecasts from the instances of other families alone."""
    known = recorded(quick)
    found: Predicted = {}
    for family in dict.fromkeys(each.family for each in known):
        others = [sample for each in known if each.family != family for sample in samples_of(each.workflow)]
        model = learn(others)
        found |= {
            name: forecasts(model, traits, origin)
            for name, traits, origin in (_asked(each) for each in known if each.family == family)
        }
    return found


def likely(predicted: Sequence[Forecast | None]) -> list[float | None]:
    """What `learned` is given."""
    return [None if each is None else each.likely for each in predicted]


def _asked(each: Recorded) -> tuple[str, list[Traits], Origin]:
    workflow = each.workflow
    return workflow.origin.instance, [task.traits for task in workflow.graph.tasks], workflow.origin
