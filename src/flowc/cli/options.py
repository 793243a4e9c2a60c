"""Options that several commands share."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from flowc.cli import streams

LEFT_OUT = "flowc.no_history"
"""Where a command keeps, with its context, that it was told to do without the history of runs."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _set_colour(context: click.Context, parameter: click.Parameter, value: str) -> None:
    streams.choose_colour(value)


def colour(command: Decorated) -> Decorated:
    """`--color`: set before anything is printed, so that it holds for every message of the command."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        is_eager=True,
        expose_value=False,
        callback=_set_colour,
        help="Colour the messages; auto looks at the terminal and NO_COLOR.",
    )(command)


def output_format(command: Decorated) -> Decorated:
    """`--output-format`: text for people, JSON for programs."""
    return click.option(
        "--output-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How results are printed on stdout.",
    )(command)


def level(command: Decorated) -> Decorated:
    """`-O`: how much the compiler improves the program."""
    return click.option(
        "-O",
        "level",
        type=click.IntRange(0, 3),
        default=2,
        show_default=True,
        help="0 as written, 1 simplified, 2 parallel and merged, 3 also ahead of time.",
    )(command)


def going_on(command: Decorated) -> Decorated:
    """The options of commands that go on with a run: those of `flowc run` that may differ each time."""
    chosen = [
        click.option("--program", metavar="FILE", help="Where the program is, if not where the run began."),
        click.option(
            "--answer", "answers", multiple=True, metavar="NAME=VALUE", help="What the human NAME answers."
        ),
        provider,
        click.option("--recording", metavar="FILE", help="The answers that --provider replay gives."),
        click.option("--record", metavar="FILE", help="Write the answers of this run for --provider replay."),
        click.option(
            "--out", "outputs", multiple=True, metavar="NAME=FILE.npy", help="Write an array of the result."
        ),
        click.option("--trace", metavar="FILE", help="Write a timeline for Perfetto or chrome://tracing."),
        click.option("--explain", is_flag=True, help="Say step by step what ran, beside what, and how long."),
        click.option("-q", "--quiet", is_flag=True, help="Print no summary of the run."),
        output_format,
        history,
    ]
    for option in reversed(chosen):
        command = option(command)
    return command


PROVIDERS = ("offline", "openai", "replay", "simulated")


def provider(command: Decorated) -> Decorated:
    """`--provider`: who answers."""
    return click.option(
        "--provider", type=click.Choice(PROVIDERS), help="Who answers all models, whatever flowc.toml says."
    )(command)


def _number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A number as it is; what is none passes for being within any range."""
    if value is not None and value != value:
        raise click.BadParameter("nan is no number of seconds", context, parameter)
    return value


def search(command: Decorated) -> Decorated:
    """`--objective`, `--at-most` and `--search-seconds`: what -O3 looks for, and how long."""
    objective = click.option(
        "--objective",
        type=click.Choice(["time", "money", "tokens"]),
        help="What -O3 makes least; time unless said.",
    )
    at_most = click.option(
        "--at-most",
        "at_most",
        multiple=True,
        metavar="FIGURE=AMOUNT",
        help="A bound for -O3, as in time=30s, money=0.05, tokens=4000; may be repeated.",
    )
    seconds = click.option(
        "--search-seconds",
        "search_seconds",
        type=click.FloatRange(min=0, max=3600),
        callback=_number,
        metavar="N",
        help="How long -O3 may look for a plan; 10 unless said, 0 for not at all.",
    )
    return objective(at_most(seconds(command)))


def _without_history(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[LEFT_OUT] = value


def history(command: Decorated) -> Decorated:
    """`--no-history`: what was learned from traced runs is left out of account, and nothing is learned."""
    return click.option(
        "--no-history",
        is_flag=True,
        expose_value=False,
        callback=_without_history,
        help="Expect what follows from the program alone, not what traced runs took.",
    )(command)


TARGETS = ("cpu", "cuda", "auto")
"""What kernels can be compiled for."""


def target(command: Decorated) -> Decorated:
    """`--target`: the machine that kernels are compiled for."""
    return click.option(
        "--target",
        type=click.Choice(TARGETS),
        default="cpu",
        show_default=True,
        help="Where kernels run: the processor, a GPU, or for each call whichever should be sooner.",
    )(command)


def configured_target(command: Decorated) -> Decorated:
    """`--target`, which flowc.toml may say too."""
    return click.option(
        "--target",
        type=click.Choice(TARGETS),
        help="Where kernels run: the processor, a GPU, or for each call whichever should be sooner; default: "
        "target of [run] in flowc.toml, else cpu.",
    )(command)


def gpu(command: Decorated) -> Decorated:
    """`--gpu`: the card that --explain speaks of."""
    return click.option(
        "--gpu",
        "card_name",
        metavar="NAME",
        help="The card of which --explain says what `--target auto` would run on it, as H200; default: the "
        "one here.",
    )(command)


def _architectures(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """The architectures of a list like `sm_80,sm_90`."""
    if value is None:
        return None
    found = tuple(each.strip() for each in value.split(","))
    for each in found:
        if not re.fullmatch(r"sm_\d{2,3}[af]?", each, re.ASCII):
            raise click.BadParameter(f"`{each}` is no architecture, as sm_90 is", context, parameter)
    return tuple(dict.fromkeys(found))


def architectures(command: Decorated) -> Decorated:
    """`--gpu-arch`: the GPUs that kernels are compiled for."""
    return click.option(
        "--gpu-arch",
        "architectures",
        callback=_architectures,
        metavar="sm_90,...",
        help="GPUs that code is made for; default: the one here, else one of each generation.",
    )(command)
