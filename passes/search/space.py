"""What a plan search may change: which of the optional passes run, their options, and single places.

A candidate is a pipeline, so whatever is found can be written down, read and compiled again by hand. A place
is the pass that did something there and the line of the program; it is left out by the option `without`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from flowc.dialects.agent.calls import GenerateBatchOp, GenerateOp
from flowc.dialects.flow.control import ElementwiseOp, IfOp
from flowc.passes.batch_calls import BatchCallsPass
from flowc.passes.framework import Remark, line_of
from flowc.passes.fuse_calls import FuseCallsPass
from flowc.passes.hedge import HEDGE, HedgePass
from flowc.passes.merge_calls import MergeCallsPass
from flowc.passes.parallelise import WIDTH, ParallelisePass
from flowc.passes.pipelines import O2, O3, Pipeline
from flowc.passes.schedule import ORDERS, WORK, SchedulePass
from flowc.passes.share_prefix import PREFIX, SharePrefixPass
from flowc.passes.speculate import SpeculatePass
from flowc.passes.stream import StreamPass
from flowc.passes.stream_items import STREAM

Place = tuple[str, int]
"""The name of a pass, and a line where it does something."""

WIDTHS = (256, 16, 1024, 8, 32, 128, 4)
"""How many elements of a map may run at once, where that is not the usual number; far ones first."""
WIDEST = 4096

WILLING = 1e6
"""Dollars that a second is worth where a pass is to spend whatever saves time: what that costs is seen when
the plan is tried.
"""

OPTIONAL: Mapping[str, tuple[ModulePass, ...]] = {
    "fuse-calls": (FuseCallsPass(),),
    "merge-calls": (MergeCallsPass(),),
    "batch-calls": (BatchCallsPass(),),
    "stream": (StreamPass(),),
    "share-prefix": (SharePrefixPass(),),
    "speculate": (SpeculatePass(), SpeculatePass(worth=WILLING)),
    "hedge": (HedgePass(), HedgePass(worth=WILLING)),
}
"""The passes that may be left out, and the forms in which they may run."""

MOST_PLACES = 32
"""So many places of a program are tried one by one."""


def starts() -> Iterator[Pipeline]:
    """The pipelines that are tried first, after that of -O2: -O3 without a search, two that spend more."""
    yield O3
    willing = changed(changed(O3, SpeculatePass(worth=WILLING)), HedgePass(worth=WILLING))
    yield willing
    yield without(willing, "share-prefix")


def neighbours(pipeline: Pipeline, places: Iterable[Place]) -> Iterator[Pipeline]:
    """The pipelines that differ in one choice, in a fixed order; `places` are those of this pipeline's plan.

    What did nothing need not be left out, and where nothing runs side by side no width matters.
    """
    chosen = {each.name: each for each in pipeline}
    places = sorted(places)
    active = {name for name, _ in places} | {"merge-calls", "speculate", "hedge"}
    widening = chosen["parallelise"]
    assert isinstance(widening, ParallelisePass)
    for width in widths_near(widening.width or WIDTH) if widening.name in active else ():
        yield changed(pipeline, replace(widening, width=width))
    for name, forms in OPTIONAL.items():
        for form in forms:
            if name not in chosen:
                yield changed(pipeline, form)
        if name in chosen and name in active:
            yield without(pipeline, name)
    for spending in (chosen.get("speculate"), chosen.get("hedge")):
        if isinstance(spending, SpeculatePass | HedgePass):
            worth = type(spending).worth if spending.worth == WILLING else WILLING
            yield changed(pipeline, replace(spending, worth=worth))
    for order in ORDERS:
        if chosen["schedule"] != SchedulePass(order):
            yield changed(pipeline, SchedulePass(order))
    for name, line in places[:MOST_PLACES]:
        found = chosen.get(name)
        if found is not None and found != widening and line not in lines_without(found):
            yield changed(pipeline, _leaving_out(found, line))


def widths_near(width: int) -> tuple[int, ...]:
    """Other widths worth a try: of all sizes beside the usual one, else the near ones."""
    if width == WIDTH:
        return WIDTHS
    near = (width * 2, width * 3 // 2, width * 3 // 4, width // 2)
    return tuple(each for each in near if 1 < each <= WIDEST and each != WIDTH)


def changed(pipeline: Pipeline, new: ModulePass) -> Pipeline:
    """A pipeline with a pass in its usual place, and in this form."""
    chosen = {each.name: each for each in pipeline} | {new.name: new}
    return tuple(
        chosen.get(each.name, each) for each in O3 if each.name in chosen or each.name not in OPTIONAL
    )


def without(pipeline: Pipeline, name: str) -> Pipeline:
    """A pipeline without a pass."""
    return tuple(each for each in pipeline if each.name != name)


def lines_without(each: ModulePass) -> tuple[int, ...]:
    """The lines where a pass does nothing."""
    found: tuple[int, ...] = getattr(each, "without", ())
    return found


def _leaving_out(each: ModulePass, line: int) -> ModulePass:
    """A pass that does nothing on a further line."""
    lines = tuple(sorted((*lines_without(each), line)))
    match each:
        case (
            FuseCallsPass()
            | BatchCallsPass()
            | StreamPass()
            | SharePrefixPass()
            | SpeculatePass()
            | HedgePass()
        ):
            return replace(each, without=lines)
    raise ValueError(f"{each.name} is not told places")


def places_of(module: ModuleOp, remarks: Iterable[Remark]) -> frozenset[Place]:
    """Where the optional passes did something in a module; of chains of calls also where they might have."""
    found = {(each.pass_name, each.line) for each in remarks if each.pass_name == "fuse-calls"}
    for op in module.walk():
        names = (
            ("batch-calls", isinstance(op, GenerateBatchOp)),
            ("parallelise", isinstance(op, ElementwiseOp) and op.width.value.data > 1),
            ("speculate", isinstance(op, IfOp) and op.started is not None),
            ("stream", isinstance(op, GenerateOp) and STREAM in op.attributes),
            ("share-prefix", isinstance(op, GenerateOp) and PREFIX in op.attributes),
            ("hedge", HEDGE in op.attributes),
        )
        found.update((name, line_of(op)) for name, there in names if there)
    return frozenset((name, line) for name, line in found if line > 0)


def text_of(pipeline: Pipeline) -> str:
    """A pipeline as a person writes it: `parse_pipeline` and `--pass-pipeline` read it."""
    return ",".join(str(each.pipeline_pass_spec()) for each in pipeline)


def distance(pipeline: Pipeline) -> int:
    """How many passes differ between a pipeline and that of -O2, places counted one by one."""
    usual, chosen = frozenset(O2), frozenset(pipeline)
    return len(usual ^ chosen) + sum(len(lines_without(each)) for each in pipeline)


def difference(pipeline: Pipeline) -> str:
    """What a pipeline does otherwise than -O2, in words."""
    usual = {each.name: each for each in O2}
    chosen = {each.name: each for each in pipeline}
    said = [_said(each) for each in pipeline if usual.get(each.name) != each]
    said += [f"no {name}" for name in usual if name not in chosen]
    return ", ".join(said) or "-O2"


def _said(each: ModulePass) -> str:
    """A pass in a form that -O2 does not have."""
    if isinstance(each, ParallelisePass):
        return f"width {each.width}"
    lines = lines_without(each)
    but = f" but on line {', '.join(map(str, lines))}" if lines else ""
    if isinstance(each, SchedulePass):
        return "the most work first" if each.order == WORK else "first ready, first begun"
    willing = isinstance(each, SpeculatePass | HedgePass) and each.worth == WILLING
    return f"{each.name}{' whatever it costs' if willing else ''}{but}"
