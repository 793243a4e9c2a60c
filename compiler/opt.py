"""`flowc opt`: IR text in, passes, IR text out, as mlir-opt does it. A .flow program is lowered first.

IR text is read with xDSL's parser. What is hostile to it (strings that never end, nesting without end) is
refused before, by scans that are linear.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException, ParseError, VerifyException

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.driver import Options, check_text, lowered, pipeline_problem, print_ir, room
from flowc.compiler.syntax import Span
from flowc.dialects.registry import context
from flowc.dialects.text import parse_module
from flowc.passes.pipelines import PipelineError, optimise, parse_pipeline

DEEPEST = 200
"""Brackets nest no deeper than this in IR text."""

LARGEST = 16 * 1024 * 1024
"""Characters of IR text."""

NOT_OFFERED = frozenset({"mlir-opt", "eqsat-serialize-egraph", "print-between-passes"})
"""Passes of xDSL that run other programs or print beside the IR."""

_STRING = re.compile(r'"(?:[^"\\\n\v\f]|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*"')
_SCANNED = re.compile(r'//[^\n]*|->|["(){}<>\[\]]|[0-9]{1000,}')


def opt(
    text: str, path: str, pipeline: str = "", *, folder: Path | None = None, locations: bool = False
) -> str:
    """Runs a pipeline over IR text, or over the IR of a .flow program, and prints what comes out.

    Raises CompileError: E0690 to E0692 for the pipeline, E0693 for text that is no IR, E0694 for IR that
    breaks a rule, E0696 for a pass that cannot do its work on it.
    """
    source = Source(path, text)
    ctx = context(everything=True)
    try:
        passes = parse_pipeline(pipeline, _other_passes())
    except PipelineError as error:
        raise pipeline_problem(pipeline, error.code, error.message, error.help) from error
    with room():
        if path.endswith(".flow"):
            module = lowered(check_text(text, path, folder=folder), Options())
        else:
            module = parse_ir(source)
        try:
            optimise(module, passes, context=ctx)
        except Exception as error:  # the passes of xDSL raise what they like on IR that they do not expect
            raise _problem(source, "E0696", "a pass cannot work on this IR", _first_line(error)) from error
        return print_ir(module, locations=locations)


def _other_passes() -> Mapping[str, Callable[[], type[ModulePass]]]:
    """The passes over kernels, and those of xDSL; all are imported only to be offered."""
    from xdsl.transforms import get_all_passes

    from flowc.passes.kernel_passes import KERNEL_PASSES

    offered = {
        name: factory
        for name, factory in get_all_passes().items()
        if not name.startswith("test-") and name not in NOT_OFFERED
    }
    return offered | {name: partial(KERNEL_PASSES.__getitem__, name) for name in KERNEL_PASSES}


def parse_ir(source: Source) -> ModuleOp:
    """The module that IR text describes, verified; raises CompileError."""
    _refuse_hostile(source)
    if not source.text.strip():
        return ModuleOp([])
    try:
        module = parse_module(source.text, source.path, ctx=context(everything=True))
    except ParseError as error:
        raise _problem(source, "E0693", error.msg.splitlines()[0], span=_span(source, error)) from error
    except Exception as error:  # its parser lets other exceptions through for text that it does not expect
        raise _problem(source, "E0693", "this is no IR that flowc can read", _first_line(error)) from error
    try:
        module.verify()
    except (VerifyException, DiagnosticException) as error:
        raise _problem(source, "E0694", "this IR breaks a rule of its operations", _reason(error)) from error
    except Exception as error:
        raise _problem(
            source, "E0694", "this IR breaks a rule of its operations", _first_line(error)
        ) from error
    return module


def _refuse_hostile(source: Source) -> None:
    text = source.text
    if len(text) > LARGEST:
        raise _problem(
            source, "E0693", f"IR text of {len(text):,} characters", f"more than {LARGEST:,} are not read"
        )
    depth = 0
    position = 0
    while (found := _SCANNED.search(text, position)) is not None:
        position = found.end()
        token = found.group()
        if token == '"':
            whole = _STRING.match(text, found.start())
            if whole is None:
                span = _at(text, found.start())
                raise _problem(
                    source, "E0693", "this string does not end on its line, or escapes wrongly", span=span
                )
            position = whole.end()
        elif token in ("(", "{", "[", "<"):
            depth += 1
            if depth > DEEPEST:
                span = _at(text, found.start())
                raise _problem(source, "E0693", f"brackets nest deeper than {DEEPEST}", span=span)
        elif token.isdecimal():
            span = _at(text, found.start())
            raise _problem(source, "E0693", f"a number of {len(token):,} digits", span=span)
        elif token in (")", "}", "]", ">"):
            depth = max(0, depth - 1)


def _at(text: str, start: int, end: int | None = None) -> Span:
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    stop = text.find("\n", start)
    last = len(text) if stop < 0 else stop
    width = max(1, min(last, start + 1 if end is None else end) - start)
    return Span(line, column, line, column + width)


def _span(source: Source, error: ParseError) -> Span:
    return _at(source.text, min(error.span.start, len(source.text)), error.span.end)


def _problem(
    source: Source, code: str, title: str, why: str = "", *, span: Span | None = None
) -> CompileError:
    labels = (Label(span or Span(1, 1, 1, 1)),)
    return CompileError(source, (Diagnostic(code, title, labels, why),))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _reason(error: BaseException) -> str:
    """xDSL prints the whole module around the reason; the reason stands in the message alone."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
