"""`flowc compile`: a program to an artifact, or any stage of it to text."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import evolve

from flowc.cli import files, options, remembering, searching, streams
from flowc.cli.failure import UsageProblem

if TYPE_CHECKING:
    from flowc.compiler.checker.model import Checked
    from flowc.compiler.driver import Compiled, Options, Timing
    from flowc.passes.cost.device_card import Card
    from flowc.passes.search.stand_ins import Arguments

FORMS = ("tree", "flow", "opt", "plan", "llvm", "asm", "cuda", "mermaid", "dot", "json")
PICTURES = ("mermaid", "dot")
UNCHANGED = ("tree", "flow")
"""Forms of the program before any pass."""
PROCESSORS = ("portable", "native", "avx512dots", "avx512", "avx2", "baseline")


@click.command("compile")
@click.argument("path", metavar="FILE")
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write; default FILE.flowc, or stdout with --emit."
)
@click.option(
    "--emit", "form", type=click.Choice(FORMS), help="Print a stage instead of writing an artifact."
)
@click.option(
    "--flow",
    "flow_name",
    help="The flow that mermaid and dot draw and -O3 tries; default: main, else the only one.",
)
@options.level
@options.search
@options.history
@click.option("--args", "args_file", metavar="FILE", help="Arguments as JSON, with which -O3 tries plans.")
@options.target
@options.architectures
@options.gpu
@click.option(
    "--target-cpu",
    "processor",
    type=click.Choice(PROCESSORS),
    default="portable",
    show_default=True,
    help="Processors that kernels are made for; portable code has a variant for each level.",
)
@click.option(
    "--pass-pipeline", "pipeline", metavar="PIPELINE", help='Passes instead of -O, as in "cse,dce".'
)
@click.option("--print-ir-after-all", "print_after_all", is_flag=True, help="Print the IR after each pass.")
@click.option("--time-passes", "time_passes", is_flag=True, help="Print how long each stage took.")
@click.option("--remarks", is_flag=True, help="Print what the passes did, and why not more.")
@click.option(
    "--explain",
    is_flag=True,
    help="Print what became of each kernel, and what was decided by expected costs.",
)
@options.colour
def command(
    path: str,
    output: str | None,
    form: str | None,
    flow_name: str | None,
    level: int,
    objective: str | None,
    at_most: tuple[str, ...],
    search_seconds: float | None,
    args_file: str | None,
    target: str,
    architectures: tuple[str, ...] | None,
    card_name: str | None,
    processor: str,
    pipeline: str | None,
    print_after_all: bool,
    time_passes: bool,
    remarks: bool,
    explain: bool,
) -> None:
    """Compile FILE to a .flowc artifact, which runs without the compiler.

    What --print-ir-after-all, --time-passes, --remarks and --explain print goes to stderr.
    """
    if path.endswith(files.ARTIFACT):
        help = "compile the .flow file that it was made from"
        raise UsageProblem("E0688", f"{path} is already compiled", help=help)
    from flowc.compiler.driver import Options

    wanted = searching.Wanted(objective, at_most, search_seconds, args_file)
    searches = level == searching.LEVEL and pipeline is None and form not in UNCHANGED
    searching.check_level(wanted, searches)
    card = _card(card_name, target, explain)
    watch = _print_after if print_after_all else None
    # A listing of all variants would say everything three times.
    listed = "native" if form is not None and processor == "portable" else processor
    history = remembering.history()
    chosen = Options(
        level,
        pipeline,
        watch=watch,
        processor=listed,
        target=target,
        architectures=_known(architectures, target),
        history=history,
    )
    checked = _checked(path)
    timings: tuple[Timing, ...] = ()
    if searches:
        search = searching.request(wanted, Path(path).parent, flow_name, _examples(args_file))
        if search is not None:
            chosen, timings = _searched(checked, evolve(chosen, search=search))
        searching.tell(chosen.found, path, explain=explain)
    if form is None or form in PICTURES or time_passes or remarks or explain:
        compiled = _compiled(checked, chosen, form, timings)
        if explain:
            _explain(compiled, chosen, card)
        _print_account(compiled, time_passes, remarks)
        if form is None:
            _write_artifact(compiled, path, output or _beside(path))
            return
        text = _picture(compiled, flow_name, form) if form in PICTURES else _stage(checked, form, chosen)
    else:
        text = _stage(checked, form, chosen)
    if output is None:
        streams.write(text)
    else:
        files.write_file(output, text)


def _known(architectures: tuple[str, ...] | None, target: str) -> tuple[str, ...] | None:
    """Architectures that code is to be made for, and that there is a compiler for."""
    if architectures is None:
        return None
    if target == "cpu":
        help = "add `--target cuda`, or leave --gpu-arch out"
        raise UsageProblem("E0670", "--gpu-arch is about GPUs, and the target is the processor", help=help)
    from flowc.compiler.backends.cuda import nvrtc

    known = nvrtc.architectures()
    for each in architectures:
        if each not in known:
            help = f"it knows {', '.join(known)}"
            raise UsageProblem("E0670", f"the CUDA compiler here makes no code for {each}", help=help)
    return architectures


def _card(name: str | None, target: str, explain: bool) -> "Card | None":
    """The card that is asked about, or the one here; None where there is none to speak of."""
    if name is None:
        return _card_here() if explain and target == "auto" else None
    if target != "auto" or not explain:
        help = "add `--target auto --explain`, or leave --gpu out"
        raise UsageProblem(
            "E0670", "--gpu says which card --explain speaks of, for the target auto", help=help
        )
    from flowc.passes.cost.device_card import CARDS, card_named

    card = card_named(name)
    if card is None:
        help = "the known ones are " + ", ".join(each.name for each in CARDS)
        raise UsageProblem("E0670", f"nothing is known of a card `{name}`", help=help)
    return card


def _card_here() -> "Card | None":
    from flowc.runtime.device.presence import absence

    missing = absence()
    if missing is None:
        from flowc.compiler.device_placing import card_here

        return card_here()
    streams.say(
        f"{missing.problem.message}: all kernels stay on the processor; --gpu H200 says what one would change"
    )
    return None


def _searched(checked: "Checked", chosen: "Options") -> "tuple[Options, tuple[Timing, ...]]":
    """The options with what the search found, and how long it took."""
    from flowc.compiler.driver import Timing, settled

    start = time.perf_counter()
    with searching.waiting(chosen.search):
        found = settled(checked, chosen)
    return found, (Timing("search", 1e3 * (time.perf_counter() - start)),)


def _examples(args_file: str | None) -> "Arguments | None":
    """What gives the arguments of a file, where there is one."""
    if args_file is None:
        return None
    from flowc.cli import arguments

    given = arguments.read_object(args_file)
    folder = Path(args_file).parent
    return lambda _, flow: arguments.with_arrays(flow, given, folder)


def _beside(path: str) -> str:
    """Where an artifact goes when nothing else is said."""
    if path == files.STDIN:
        raise UsageProblem("E0670", "an artifact of stdin needs a name", help="give one: -o main.flowc")
    return str(Path(path).with_suffix(files.ARTIFACT))


def _checked(path: str) -> "Checked":
    from flowc.compiler.driver import check_text
    from flowc.compiler.parser import decode

    checked = check_text(decode(files.read_bytes(path), path), path, folder=Path(path).parent)
    for warning in checked.warnings:
        streams.show_diagnostic(warning, checked.source)
    return checked


def _compiled(
    checked: "Checked", chosen: "Options", form: str | None, timings: "tuple[Timing, ...]"
) -> "Compiled":
    """The compiled program; a picture, or the account of a text form, needs no native code."""
    from attrs import evolve

    from flowc.compiler.driver import compile_checked

    compiled = compile_checked(checked, evolve(chosen, native=form in (None, "llvm", "asm")), timings)
    for notice in compiled.notices:
        streams.show_diagnostic(notice, None)
    return compiled


def _stage(checked: "Checked", form: str, chosen: "Options") -> str:
    from flowc.compiler.driver import emit

    return emit(checked, form, chosen)


def _picture(compiled: "Compiled", flow_name: str | None, form: str) -> str:
    from flowc.cli.graph import draw
    from flowc.runtime.plan_check import entry

    return draw(compiled.plan, entry(compiled.plan, flow_name).name, form)


def _print_after(name: str, text: str) -> None:
    sys.stderr.write(f"// ----- after {name} -----\n{text}")


def _explain(compiled: "Compiled", chosen: "Options", card: "Card | None") -> None:
    """What became of the kernels, and what was decided, the greatest gain first; the plan has been told."""
    from flowc.compiler.driver import explain_kernels
    from flowc.passes.cost.decisions import decisions_text
    from flowc.passes.search.report import PLAN

    path = compiled.source.path
    kernels = explain_kernels(compiled.checked, chosen).rstrip()
    others = [each for each in compiled.decisions if each.what != PLAN]
    if card is not None:
        from flowc.compiler.device_placing import kernel_decisions

        others += kernel_decisions(compiled.checked, card, chosen.level)
    decided = decisions_text(others, path).rstrip()
    streams.say("\n\n".join(filter(None, (kernels, decided))) or f"{path} has no kernels and no decisions")


def _print_account(compiled: "Compiled", time_passes: bool, remarks: bool) -> None:
    if time_passes:
        total = sum(timing.milliseconds for timing in compiled.timings)
        fired = {each.name: each.fired for each in compiled.statistics}
        for timing in (*compiled.timings,):
            share = timing.milliseconds / total if total else 0.0
            times = f"  fired {fired[timing.stage]}" if timing.stage in fired else ""
            streams.say(f"{timing.milliseconds:10.2f} ms {share:6.1%}  {timing.stage}{times}")
        streams.say(f"{total:10.2f} ms 100.0%  in all")
    if remarks:
        for remark in dict.fromkeys(compiled.remarks):  # a flow that was inlined says the same again
            streams.say(f"{compiled.source.path}:{remark.line}: {remark.pass_name}: {remark.message}")


def _write_artifact(compiled: "Compiled", path: str, output: str) -> None:
    from flowc.cli.artifacts import write_artifact_file

    write_artifact_file(compiled, path, output)
    streams.say(f"wrote {output}")
