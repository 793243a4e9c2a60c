"""The command group: lazy subcommands, and the edge where an error becomes a message and an exit status."""

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click


class UnknownCommand(click.UsageError):
    """A word that is no command, with the commands that are spelled nearly so."""

    def __init__(self, message: str, possibilities: list[str], ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.possibilities = possibilities


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it or to show its own help."""

    def __init__(self, *, commands_by_name: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(**settings)
        self._modules = dict(commands_by_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table, which is the order of use."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module; None when there is no such command."""
        if cmd_name not in self._modules:
            return None
        command = importlib.import_module(self._modules[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the words begin with; an unknown one is told the nearest known."""
        if args and args[0] not in self._modules and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self._modules, n=2)
            raise UnknownCommand(f"there is no command `{args[0]}`", near, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from the table, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._modules.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a reader that has gone is no failure, where click would exit with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _silence_stdout()
            return 0

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = False,
        **extra: Any,
    ) -> Any:
        """Runs the command line; with `standalone_mode`, exits the process with its status.

        Arguments are never expanded as file patterns: `question=why?` is a value.
        """
        _open_streams()
        words = list(sys.argv[1:] if args is None else args)
        status = self._status(words, complete_var, extra)
        if not standalone_mode:
            return status
        sys.exit(status)

    def _status(self, words: list[str], complete_var: str | None, extra: dict[str, Any]) -> int:
        try:
            result = super().main(words, "flowc", complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
            return result if isinstance(result, int) else 0
        except SystemExit as stop:  # shell completion ends this way
            return stop.code if isinstance(stop.code, int) else 0
        except BrokenPipeError:
            _silence_stdout()
            return 0
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                _silence_stdout()
            from flowc.cli.failure import report

            return report(error, words)


def _open_streams() -> None:
    """Gives streams that the caller closed (`flowc ... 2>&-`) a place that takes everything."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _silence_stdout() -> None:
    """The reader of our output has gone (`flowc ... | head`): nothing more can or need be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
