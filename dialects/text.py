"""IR as text: printing and parsing modules, names beyond ASCII included.

xDSL's printer writes such names with escapes, and its lexer takes what has such escapes for bytes. So they
are printed as they are.
"""

import re
from io import StringIO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.printer import Printer

from flowc.dialects.registry import context

_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f]')


class IrPrinter(Printer):
    """xDSL's printer, except that string literals keep characters beyond ASCII."""

    def print_string_literal(self, string: str) -> None:
        """Writes a string literal that the lexer reads back as a string."""
        escaped = _ESCAPED.sub(lambda match: f"\\{ord(match[0]):02X}", string)
        self.print_string(f'"{escaped}"')


def print_module(module: ModuleOp, *, locations: bool = False) -> str:
    """The text of a module; with `locations`, the places in the program that its operations come from."""
    out = StringIO()
    IrPrinter(out, print_debuginfo=locations).print_op(module)
    return out.getvalue() + "\n"


def parse_module(text: str, path: str = "<ir>", *, ctx: Context | None = None) -> ModuleOp:
    """The module that a text describes; raises what xDSL's parser raises."""
    return Parser(ctx or context(), text, path).parse_module()
