"""What a program or an artifact comes to before it runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowc.compiler.diagnostics.model import Source
from flowc.runtime.plan import Plan

if TYPE_CHECKING:
    from flowc.passes.search.report import SearchReport


@frozen
class Loaded:
    """A plan with its kernels, the text that its lines refer to, the folder that its tools stand in, and what
    a search for the plan found, where one took place just now.
    """

    plan: Plan
    kernels: Mapping[str, Callable[..., Any]]
    source: Source
    folder: Path
    found: "SearchReport | None" = None
