"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from flowc.cli import streams

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


def target(command: Decorated) -> Decorated:
    """`--target`: the machine that kernels are compiled for."""
    return click.option(
        "--target", type=click.Choice(["cpu"]), default="cpu", show_default=True, help="Where kernels run."
    )(command)
