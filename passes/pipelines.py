"""The pipelines: what each level does, in order, as tuples to read; and pipelines written by a person."""

import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from attrs import field, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, get_pass_option_infos
from xdsl.utils.arg_spec import parse_pipeline as parse_specs
from xdsl.utils.exceptions import ArgSpecParseError, ParseError, VerifyException

from flowc.passes.batch_calls import BatchCallsPass
from flowc.passes.canonicalise import CanonicalisePass
from flowc.passes.constant_fold import ConstantFoldPass
from flowc.passes.cost.decisions import Decision
from flowc.passes.cse import CsePass
from flowc.passes.dce import DcePass
from flowc.passes.framework import FlowPass, OptionProblem, Remark, Report
from flowc.passes.fuse_calls import FuseCallsPass
from flowc.passes.hedge import HedgePass
from flowc.passes.infer_effects import InferEffectsPass
from flowc.passes.infer_shapes import InferShapesPass
from flowc.passes.inline import InlinePass
from flowc.passes.merge_calls import MergeCallsPass
from flowc.passes.outline_kernels import OutlineKernelsPass
from flowc.passes.parallelise import ParallelisePass
from flowc.passes.prune import PrunePass
from flowc.passes.schedule import SchedulePass
from flowc.passes.share_prefix import SharePrefixPass
from flowc.passes.speculate import SpeculatePass
from flowc.passes.stream import StreamPass

Pipeline = tuple[ModulePass, ...]

O0: Pipeline = (OutlineKernelsPass(),)

O1: Pipeline = (
    CanonicalisePass(),
    CsePass(),
    DcePass(),
    InlinePass(),
    ConstantFoldPass(),
    CanonicalisePass(),
    CsePass(),
    DcePass(),
    InferShapesPass(),
    CanonicalisePass(),
    InferEffectsPass(),
    OutlineKernelsPass(),
)

O2: Pipeline = (
    *O1[:-1],
    PrunePass(),
    FuseCallsPass(),
    MergeCallsPass(),
    ParallelisePass(),
    BatchCallsPass(),
    StreamPass(),
    SharePrefixPass(),
    CanonicalisePass(),
    DcePass(),
    OutlineKernelsPass(),
    SchedulePass(),
)

O3: Pipeline = (*O2[:-1], SpeculatePass(), HedgePass(), SchedulePass())

PIPELINES: Mapping[str, Pipeline] = {"O0": O0, "O1": O1, "O2": O2, "O3": O3}
"""What `-O0` to `-O3` run."""

PASSES: Mapping[str, type[ModulePass]] = {
    each.name: each
    for each in (
        BatchCallsPass,
        CanonicalisePass,
        ConstantFoldPass,
        CsePass,
        DcePass,
        FuseCallsPass,
        HedgePass,
        InferEffectsPass,
        InferShapesPass,
        InlinePass,
        MergeCallsPass,
        OutlineKernelsPass,
        ParallelisePass,
        PrunePass,
        SchedulePass,
        SharePrefixPass,
        SpeculatePass,
        StreamPass,
    )
}
"""Passes of ours by name."""


@frozen
class PassStatistics:
    """What one pass of a run did, and how long it took in milliseconds, verification apart."""

    name: str
    fired: int
    milliseconds: float
    verify_milliseconds: float = 0.0


@frozen
class Optimised:
    """What a pipeline did: its passes in order, all their remarks and all that they decided."""

    statistics: tuple[PassStatistics, ...] = ()
    remarks: tuple[Remark, ...] = field(default=())
    decisions: tuple[Decision, ...] = field(default=())


class PipelineError(Exception):
    """A pipeline that names what does not exist; `code`, what is wrong, and what to write instead."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help


Watch = Callable[[ModulePass, ModuleOp], None]
"""Called after each pass with the module as it is then."""


def optimise(
    module: ModuleOp,
    pipeline: Pipeline,
    *,
    context: Context | None = None,
    verify: bool = True,
    watch: Watch | None = None,
) -> Optimised:
    """Runs passes over a module, in place, and verifies it after each that changed something."""
    context = context or Context()
    statistics: list[PassStatistics] = []
    remarks: list[Remark] = []
    decisions: list[Decision] = []
    for each in pipeline:
        start = time.perf_counter()
        report = _run(each, context, module)
        ran = time.perf_counter()
        if verify and (report.fired or not isinstance(each, FlowPass)):
            _verify(module, each)
        done = time.perf_counter()
        statistics.append(PassStatistics(each.name, report.fired, (ran - start) * 1e3, (done - ran) * 1e3))
        remarks.extend(report.remarks)
        decisions.extend(report.decisions)
        if watch is not None:
            watch(each, module)
    return Optimised(tuple(statistics), tuple(remarks), tuple(decisions))


def _run(each: ModulePass, context: Context, module: ModuleOp) -> Report:
    if isinstance(each, FlowPass):
        return each.run(module)
    each.apply(context, module)
    return Report()


def _verify(module: ModuleOp, after: ModulePass) -> None:
    try:
        module.verify()
    except VerifyException as error:
        raise VerifyException(f"after the pass {after.name}: {error}") from error


def parse_pipeline(text: str, others: Mapping[str, Callable[[], type[ModulePass]]] | None = None) -> Pipeline:
    """Reads `canonicalise,cse,parallelise{width=8}`; `others` are passes beside ours.

    Raises PipelineError E0690 for what cannot be read, E0691 for an unknown pass, E0692 for an unknown
    option.
    """
    try:
        specs = tuple(parse_specs(text)) if text.strip() else ()
    except (ArgSpecParseError, ParseError, ValueError, AssertionError) as error:
        raise PipelineError(
            "E0690", f"`{text}` is no pipeline", 'write passes with commas: "cse,parallelise{width=8}"'
        ) from error
    passes = []
    for spec in specs:
        found = PASSES.get(spec.name) or _other(spec.name, others or {})
        try:
            passes.append(found.from_pass_spec(spec))
        except OptionProblem as error:
            refused = f"the pass `{spec.name}` does not take these options"
            raise PipelineError("E0692", refused, str(error)) from error
        except Exception as error:  # xDSL raises bare exceptions for options that do not fit
            raise PipelineError(
                "E0692", f"the pass `{spec.name}` does not take these options", _options_of(found)
            ) from error
    return tuple(passes)


def _options_of(found: type[ModulePass]) -> str:
    infos = get_pass_option_infos(found)
    if not infos:
        return "it takes none"
    options = (f"{each.name} ({each.expected_type.removesuffix('|None')})" for each in infos)
    return "it takes " + ", ".join(options)


def _other(name: str, others: Mapping[str, Callable[[], type[ModulePass]]]) -> type[ModulePass]:
    if name in others:
        return others[name]()
    near = get_close_matches(name, [*PASSES, *others], 1)
    hint = f"did you mean `{near[0]}`?" if near else f"the passes are {', '.join(sorted(PASSES))}"
    raise PipelineError("E0691", f"there is no pass `{name}`", hint)
