"""What a program or an artifact comes to before it runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from flowc.compiler.diagnostics.model import Source
from flowc.runtime.plan import Plan

if TYPE_CHECKING:
    from flowc.passes.search.report import SearchReport


@frozen
class Loaded:
    """A plan with its kernels, the text that its lines refer to, the folder that its tools stand in, and what
    a search for the plan found, where one took place just now. `code` is a hash of the native code of its
    kernels, empty where there are none; `tools` are ready functions, where they are not to be loaded.
    """

    plan: Plan
    kernels: Mapping[str, Callable[..., Any]]
    source: Source
    folder: Path
    found: "SearchReport | None" = None
    code: str = ""
    tools: Mapping[str, Callable[..., Any]] = field(factory=dict)
