"""How a list of statements ends."""

import ast
from collections.abc import Callable, Sequence

from attrs import frozen

from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.liveness import Names


@frozen
class Returned:
    """The statements returned this."""

    value: object


Runner = Callable[[Frame, Sequence[ast.stmt], Names], Returned | None]
"""Runs statements, given the names that are read after them."""
