"""Programs of other systems as text of this language: each importer is a file, imported when asked for."""

from collections.abc import Callable
from importlib import import_module

IMPORTERS = {
    "halo": "flowc.compiler.importers.halo",
    "llmcompiler": "flowc.compiler.importers.llmcompiler",
    "wfcommons": "flowc.compiler.importers.wfcommons",
}
"""Every importer: the module whose `convert` it is."""

CONFIGURED = ("halo", "wfcommons")
"""Importers whose files say things that belong into a flowc.toml; their modules have `configure`."""


def importer(name: str) -> Callable[[str, str], str]:
    """The function that makes a program of a text and the path it came from.

    It raises CompileError, with all that is wrong, for a text that cannot become one.
    """
    found: Callable[[str, str], str] = import_module(IMPORTERS[name]).convert
    return found


def configuration(name: str) -> Callable[[str, str], str]:
    """The function that makes a flowc.toml of the same text; it raises what `importer`'s raises."""
    found: Callable[[str, str], str] = import_module(IMPORTERS[name]).configure
    return found
