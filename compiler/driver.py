"""The driver: text or tree in, a compiled program out, with every stage on the way to be looked at."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.syntax import Program, Span
from flowc.runtime.collecting import uncollected
from flowc.runtime.plan import Plan

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from flowc.compiler.backends.llvm import KernelObject
    from flowc.compiler.checker.model import Checked
    from flowc.compiler.learned import History
    from flowc.passes.cost.decisions import Decision
    from flowc.passes.framework import Remark
    from flowc.passes.pipelines import Optimised, PassStatistics, Pipeline
    from flowc.passes.search.report import SearchReport
    from flowc.passes.search.search import SearchRequest
    from flowc.runtime.device.code import DeviceCode

DEEPEST = 60_000
"""Python frames that a compilation may use; the parser bounds the depth of programs long before."""

Watch = Callable[[str, str], None]
"""Called after each pass with its name and the text of the IR then."""


@frozen
class Options:
    """How to compile.

    `pipeline` replaces that of the level; without `native` kernels are checked but not compiled. Code is made
    for `processor`: "native" is this machine's, "portable" stands for all levels of `runtime.processor`, of
    which each machine takes the best it can run; else one of those levels. With the target "cuda" or "auto"
    they are compiled for GPUs too, of `architectures` as `sm_90`; None stands for the one here, or the usual
    ones. At level 3 a `search` looks for the plan; `found` is what it found. What calls take is learned from
    `history`, where there is one.
    """

    level: int = 2
    pipeline: str | None = None
    verify: bool = True
    native: bool = True
    watch: Watch | None = None
    processor: str = "native"
    target: str = "cpu"
    architectures: tuple[str, ...] | None = None
    search: "SearchRequest | None" = None
    found: "SearchReport | None" = None
    history: "History | None" = None


@frozen
class Timing:
    """A stage of the compiler and the milliseconds it took."""

    stage: str
    milliseconds: float


@frozen
class Compiled:
    """A compiled program: its plan, the native code of its kernels if it has any, what the compiler saw.

    `variants` are the native code by processor; `kernels` is the first of them. `device` is code for GPUs
    where that was asked for, and `refused` says of each kernel without such code why. `found` is what a
    search for the plan found.
    """

    plan: Plan
    kernels: "KernelObject | None"
    source: Source
    checked: "Checked" = field(repr=False)
    remarks: "tuple[Remark, ...]" = ()
    statistics: "tuple[PassStatistics, ...]" = ()
    timings: tuple[Timing, ...] = ()
    variants: "Mapping[str, KernelObject]" = field(factory=dict)
    device: "DeviceCode | None" = None
    refused: Mapping[str, str] = field(factory=dict)
    decisions: "tuple[Decision, ...]" = ()
    found: "SearchReport | None" = None
    notices: tuple[Diagnostic, ...] = ()

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the checker found that is no error, and what is wrong with the history."""
        return (*self.checked.warnings, *self.notices)


@contextmanager
def room() -> Iterator[None]:
    """Room for trees as deep as the language allows, for as long as the compiler works on them.

    Collecting garbage among hundreds of thousands of live operations takes a third of the time and finds
    little, so it waits until the end.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST))
    try:
        with uncollected():
            yield
    finally:
        sys.setrecursionlimit(before)


def check_text(text: str, path: str, *, folder: Path | None = None) -> "Checked":
    """Parses and checks; raises CompileError with all that is wrong."""
    from flowc.compiler.parser import parse

    with room():
        program = parse(text, path)
        return check_program(program, Source(path, text), folder=folder)


def check_program(
    program: Program,
    source: Source,
    *,
    folder: Path | None = None,
) -> "Checked":
    """Checks a tree; raises CompileError with all that is wrong."""
    from flowc.compiler.checker import check

    with room():
        return check(program, source, folder=folder)


def compile_text(
    text: str,
    path: str,
    *,
    folder: Path | None = None,
    options: Options | None = None,
    level: int | None = None,
) -> Compiled:
    """Compiles the text of a program. `level` is short for `Options(level=...)`."""
    return _compiled(partial(check_text, text, path, folder=folder), options, level)


def compile_program(
    program: Program,
    source: Source,
    *,
    folder: Path | None = None,
    options: Options | None = None,
    level: int | None = None,
) -> Compiled:
    """Compiles a tree, as the Python front end builds it."""
    return _compiled(partial(check_program, program, source, folder=folder), options, level)


def _compiled(check: "Callable[[], Checked]", options: Options | None, level: int | None) -> Compiled:
    if options is None:
        options = Options() if level is None else Options(level=level)
    start = time.perf_counter()
    checked = check()
    return compile_checked(checked, options, (Timing("check", _since(start)),))


def compile_checked(
    checked: "Checked", options: Options | None = None, timings: tuple[Timing, ...] = ()
) -> Compiled:
    """Compiles a checked program; `timings` are those of the stages before."""
    from flowc.compiler.backends.plan import to_plan

    options = options or Options()
    if options.search is not None:
        start = time.perf_counter()
        options = settled(checked, options)
        timings += (Timing("search", _since(start)),)
    with room():
        start = time.perf_counter()
        module, notices = _lowered(checked, options)
        timings += (Timing("lower", _since(start)),)
        done = _optimised(module, options)
        timings += tuple(Timing(each.name, each.milliseconds) for each in done.statistics)
        timings += (Timing("verify", sum(each.verify_milliseconds for each in done.statistics)),)
        start = time.perf_counter()
        plan, kernels = to_plan(module, source=checked.source.path, optimisation=options.level)
        plan = _completed(plan, options)
        plan, amiss = _with_kernels(plan, kernels, options)
        timings += (Timing("plan", _since(start)),)
        start = time.perf_counter()
        variants = _native(kernels, options) if options.native else {}
        timings += (Timing("native", _since(start)),)
        start = time.perf_counter()
        device, refused = _for_device(kernels, checked.source, options)
        timings += (Timing("cuda", _since(start)),) if options.target != "cpu" else ()
    first = next(iter(variants.values()), None)
    decided = (*done.decisions, *(() if options.found is None else options.found.decisions))
    return Compiled(
        plan,
        first,
        checked.source,
        checked,
        done.remarks,
        done.statistics,
        timings,
        variants,
        device,
        refused,
        decided,
        options.found,
        (*notices, *amiss),
    )


def settled(checked: "Checked", options: Options) -> Options:
    """Options that say which passes run: where they ask for a search, with what it found."""
    if options.search is None or options.level != 3 or options.pipeline is not None:
        return options
    from flowc.compiler.plan_search import Making, searched

    native = partial(_native, options=evolve(options, processor="native"))
    making = Making(checked.source.path, room, partial(_completed, options=options), native)
    report = searched(lowered(checked, options), options.search, making)
    return evolve(options, search=None, found=report)


def lowered(checked: "Checked", options: Options) -> "ModuleOp":
    """The IR of a checked program before any pass."""
    return _lowered(checked, options)[0]


def _lowered(checked: "Checked", options: Options) -> "tuple[ModuleOp, tuple[Diagnostic, ...]]":
    """The IR before any pass, with what earlier runs have shown, and what is wrong with their history."""
    from flowc.compiler.lower import TooDeep, lower

    with room():
        try:
            module = lower(checked)
        except TooDeep as error:
            raise _too_deep(checked.source, error.span) from error
        if options.verify:
            module.verify()
        if options.history is None:
            return module, ()
        from flowc.compiler.learned import learn

        return module, learn(module, checked.source.text, options.history)


def _completed(plan: Plan, options: Options) -> Plan:
    """The plan with what earlier runs have shown of what the passes made."""
    if options.history is None:
        return plan
    from flowc.compiler.learned import completed

    return completed(plan, options.history)


def _with_kernels(plan: Plan, kernels: "ModuleOp", options: Options) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """The plan with what calls of its kernels took in earlier runs, and what is wrong with that."""
    if options.history is None:
        return plan, ()
    from flowc.compiler.learned import with_kernels

    return with_kernels(plan, kernels, options.history)


def _too_deep(source: Source, span: Span | None) -> CompileError:
    why = "choices within choices become branches within branches, and these may be 250 deep"
    help_ = "name parts of it with `=` and put them one after the other, or move a part into a flow"
    labels = (Label(span or Span(1, 1, 1, 1)),)
    return CompileError(source, (Diagnostic("E0540", "this nests too deep", labels, why, help_),))


def optimised(checked: "Checked", options: Options | None = None) -> "ModuleOp":
    """The IR of a checked program after the passes that the options ask for."""
    options = options or Options()
    with room():
        module = lowered(checked, options)
        _optimised(module, options)
    return module


def _optimised(module: "ModuleOp", options: Options) -> "Optimised":
    """Runs the passes that the options ask for, in place."""
    from flowc.passes.pipelines import optimise

    def watch(each: object, current: "ModuleOp") -> None:
        if options.watch is not None:
            options.watch(str(getattr(each, "name", "")), print_ir(current))

    return optimise(
        module,
        pipeline_of(options),
        verify=options.verify,
        watch=watch if options.watch is not None else None,
    )


def pipeline_of(options: Options) -> "Pipeline":
    """The passes that the options ask for; whatever a person writes, kernels are outlined at the end."""
    from flowc.passes.outline_kernels import OutlineKernelsPass
    from flowc.passes.pipelines import PIPELINES, PipelineError, parse_pipeline

    if options.found is not None:
        return options.found.chosen
    if options.pipeline is None:
        return PIPELINES[f"O{options.level}"]
    try:
        return (*parse_pipeline(options.pipeline), OutlineKernelsPass())
    except PipelineError as error:
        raise pipeline_problem(options.pipeline, error.code, error.message, error.help) from error


def pipeline_problem(pipeline: str, code: str, message: str, help: str) -> CompileError:
    """The error for a pipeline that cannot run, as if the pipeline were a file of one line."""
    span = Span(1, 1, 1, len(pipeline) + 1)
    return CompileError(
        Source("<pass pipeline>", pipeline), (Diagnostic(code, message, (Label(span),), help=help),)
    )


def _native(kernels: "ModuleOp", options: Options, *, listing: bool = False) -> "dict[str, KernelObject]":
    """The native code of kernels by processor, best first."""
    if kernels.body.block.first_op is None:
        return {}
    from flowc.compiler.backends import llvm
    from flowc.runtime import processor

    targets = {"native": processor.host()} if options.processor == "native" else processor.portable()
    if options.processor not in ("native", "portable"):
        targets = {options.processor: targets[options.processor]}
    elif not llvm.reads_narrow(kernels):
        targets.pop(processor.DOTS, None)
    return {
        name: llvm.compile_kernels(kernels, llvm.Options(level=options.level, listing=listing, target=target))
        for name, target in targets.items()
    }


def _for_device(
    kernels: "ModuleOp", source: Source, options: Options
) -> "tuple[DeviceCode | None, Mapping[str, str]]":
    """Code of kernels for GPUs where it is asked for, and why kernels have none."""
    if options.target == "cpu" or not options.native or kernels.body.block.first_op is None:
        return None, {}
    from flowc.compiler.device_build import build_for_device

    found = build_for_device(kernels, source, options.target, options.level, options.architectures)
    return found.code, found.refused


def print_ir(module: "ModuleOp", *, locations: bool = False) -> str:
    """The text of a module, with the places in the program that its operations come from if wanted."""
    from flowc.dialects.text import print_module

    return print_module(module, locations=locations)


EMIT_FORMS = ("tree", "flow", "opt", "plan", "llvm", "asm", "cuda", "json")
"""The stages that `emit` prints."""


def emit(checked: "Checked", form: str, options: Options | None = None) -> str:
    """A stage of the compilation as text: one of EMIT_FORMS."""
    options = options or Options()
    if form == "tree":
        return tree_text(checked.program)
    with room():
        module = lowered(checked, options)
        if form == "flow":
            return print_ir(module)
        _optimised(module, options)
        if form == "opt":
            return print_ir(module)
        return _emit_back(checked, form, options, module)


def _emit_back(checked: "Checked", form: str, options: Options, module: "ModuleOp") -> str:
    from flowc.compiler.backends.plan import select, to_plan

    if form == "plan":
        return print_ir(select(module))
    plan, kernels = to_plan(module, source=checked.source.path, optimisation=options.level)
    if form == "json":
        from flowc.runtime.plan_json import dumps

        return dumps(plan)
    if form == "cuda":
        from flowc.compiler.device_build import device_text

        return device_text(kernels, checked.source, options.level)
    compiled = _native(kernels, options, listing=True).values()
    return "".join(each.llvm_ir if form == "llvm" else each.assembly for each in compiled)


def kernels_module(checked: "Checked", options: Options) -> "ModuleOp":
    """The kernels of a checked program as the back end gets them."""
    from flowc.compiler.backends.plan import to_plan

    with room():
        module = optimised(checked, options)
        return to_plan(module, source=checked.source.path, optimisation=options.level)[1]


def explain_kernels(checked: "Checked", options: Options | None = None) -> str:
    """What becomes of each kernel of a program on this machine, as text; empty where it has none."""
    from flowc.compiler.kernel_report import report_module

    options = options or Options()
    with room():
        module = kernels_module(checked, options)
        if options.history is None:
            return report_module(module, options.level)
        from flowc.compiler.learned import kernels_seen

        seen, _ = kernels_seen(module, options.level, options.history)
        return report_module(module, options.level, seen)


def tree_text(program: Program) -> str:
    """The syntax tree, indented, a node a line."""
    from flowc.compiler.tree import tree_text as text

    return text(program)


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
