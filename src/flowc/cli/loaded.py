"""What a program or an artifact comes to before it runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from flowc.compiler.diagnostics.model import Source
from flowc.runtime.plan import Plan


@frozen
class Loaded:
    """A plan with its kernels, the text that its lines refer to, and the folder that its tools stand in."""

    plan: Plan
    kernels: Mapping[str, Callable[..., Any]]
    source: Source
    folder: Path
