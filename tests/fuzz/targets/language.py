"""Texts of programs, of IR and of Python files that a program imports."""

import re
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from flowc.compiler.checker.model import Checked
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.diagnostics.pages import codes, page
from flowc.compiler.diagnostics.render import render_plain, to_json
from flowc.compiler.driver import Options, check_text, compile_text, print_ir
from flowc.compiler.formatter import format_program, format_text
from flowc.compiler.opt import opt, parse_ir
from flowc.compiler.parser import decode, parse
from flowc.compiler.parser.limits import recursion_room
from flowc.grammar.tables import RESERVED, load
from flowc.passes.pipelines import PIPELINES
from flowc.runtime.plan_json import dumps, loads
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_words

ROOT = Path(__file__).parents[3]
PLAIN = '''labels public < secret

record Item:
    name: str
    price: float?

enum Verdict: yes, no

tool find(text: str, limit: int = 20) -> list[Item] reads web
tool send(to: str, body: public str) -> none writes mail undo unsend
tool unsend(to: str, body: public str) -> none writes mail

@model("small")
@retry(2, backoff=200ms)
llm judge(claim: str, notes: list[str]) -> Verdict:
    """Do {notes} support {claim}? {{braces}}"""

human approve(draft: str) -> bool:
    """Send {draft}?"""

kernel scale(x: f32[m, n], y: f32[n]) -> f32[m]:
    z = x * 2.0 + sqrt(abs(y))
    return sum(z, axis=1)

@budget($0.02)
flow main(question: str, n: int = 3) -> str:
    hits = [each for each in find(question) if each.price != none]
    total = 0
    for i in range(n):
        total += i if i % 2 == 0 else -i
    while total > 10 up to 5:
        total = total // 2
    said = race(judge(question, [h.name for h in hits]), judge("x", []))
    with timeout(30s), retry(1):
        best = vote(judge(question, []), max=5, lead=2)
    text = try f"{said} {total}" else "none"
    return text if approve(text) else "withheld"
'''
IR = """func.func @f(%a : f32, %b : f32) -> f32 {
  %c = arith.constant 2.5 : f32
  %d = arith.mulf %a, %c : f32
  %e = arith.addf %d, %b : f32
  func.return %e : f32
}
"""
TOOLS = '''"""Tools."""
from functools import cache

async def find(text: str, limit: int = 20) -> list:
    return [text] * limit

@cache
def send(to: "str", *, body: str | None = None) -> None: ...

class Other:
    def find(self): pass

if (seen := 1):
    from os import path as join
'''
USES = """from "tools.py" import find, send

tool find(text: str, limit: int = 20) -> list[str] reads web
tool send(to: str, body: str) -> none writes mail

flow main(q: str) -> list[str]:
    send(q, q)
    return find(q)
"""
WORDS = by_words(
    *sorted(load().keywords() | RESERVED), "==", "!=", "<=", ">=", "//", "**", "->", "=>", "+=", "..", "...",
    "@", ":=", "f\"{", 'f"{x:>5}"', "1s", "200ms", "$0.02", "1_000", "0x1F", "f32[n, 3]", "list[",
    "dict[str, ",
    "json", "plan[", "?", "main", "question", "hits", "sum", "len", "topk", "embed", "endorse",
    "declassify",
    "secret", "untrusted", "\n    ", "\n", "#", "\\\n", "[i for i in ", "lambda x: x", "import",
    "import os",
)  # fmt: skip
OF_IR = by_words(
    "%0", "%a", "^bb0", "@f", "!flow.", "#flow.", '"builtin.module"() ({', "})", "->", ": f32", "tensor<",
    "memref<?xf32>", "vector<4xf32>", "index", "dense<", "loc(", "affine_map<(d0) -> (d0)>", "func.func",
    "arith.constant", "scf.for", "array.", "agent.", "loops.", "plan.", "func.return", "attributes {",
    "i64",
    "f16", "bf16", "none", "unit", "private", "//",
)  # fmt: skip
OF_PYTHON = by_words(
    "def", "async def", "class", "lambda", "*", "**", "/", "->", "@", "find", "send", "text", "limit",
    "list[str]",
    '"str"', "Optional[", "|", "None", "...", "import", "match", "case", "f'{", "await", "yield", "\n    ",
    "0_0",
)  # fmt: skip


def seen(error: CompileError) -> None:
    """Looks at every diagnostic as the edges do: each has a page, prints, and prints as JSON."""
    for diagnostic in error.diagnostics:
        assert diagnostic.code in codes(), f"{diagnostic.code} has no page"
        render_plain(diagnostic, error.source)
        to_json(diagnostic, error.source)


def _checked(data: bytes, folder: Path | None = None) -> Checked | None:
    try:
        return check_text(decode(data, "fuzz.flow"), "fuzz.flow", folder=folder)
    except CompileError as error:
        seen(error)
        return None


def _check(data: bytes) -> None:
    """`flowc check`: what parses is checked, and every diagnostic can be shown."""
    checked = _checked(data)
    for warning in () if checked is None else checked.warnings:
        render_plain(warning, checked.source)


def _compile(data: bytes) -> None:
    """`flowc compile`: what checks becomes a plan that reads back, at any level."""
    try:
        text = decode(data, "fuzz.flow")
        options = Options(level=len(text) % 3, native=False)
        compiled = compile_text(text, "fuzz.flow", options=options)
    except CompileError as error:
        seen(error)
        return
    written = dumps(compiled.plan)
    assert dumps(loads(written)) == written, "the plan reads back as another one"


def _format(data: bytes) -> None:
    """`flowc fmt`: what parses parses again when it is formatted, to the same tree, and is stable then."""
    try:
        text = decode(data, "fuzz.flow")
        tree = parse(text, "fuzz.flow")
    except CompileError as error:
        seen(error)
        return
    once = format_text(text, "fuzz.flow")
    with recursion_room():
        assert parse(once, "fuzz.flow") == tree, "the formatted text has another tree"
        assert parse(format_program(tree), "fuzz.flow") == tree, "the tree as text has another tree"
    assert format_text(once, "fuzz.flow") == once, "formatting twice changes something"


def _ir(data: bytes) -> None:
    """`flowc opt`: IR text is read, verified and printed; what is printed reads again."""
    try:
        source = Source("fuzz.ir", decode(data, "fuzz.ir"))
        printed = print_ir(parse_ir(source))
    except CompileError as error:
        seen(error)
        return
    parse_ir(Source("again.ir", printed))


def _pipeline(data: bytes) -> None:
    """The text of a pipeline of passes."""
    try:
        opt("", "fuzz.ir", decode(data, "pipeline"))
    except CompileError as error:
        seen(error)


def _python(data: bytes) -> None:
    """A Python file with tools: it is read, never run."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        (Path(folder) / "tools.py").write_bytes(data)
        _checked(USES.encode(), Path(folder))


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files of an input lie: in memory, where there is such a place."""


@cache
def programs() -> list[bytes]:
    """Programs of the repository: of its examples, then, each about one thing, of the pages of the errors."""
    found = [PLAIN.encode()]
    for folder in ("examples", "grammar/samples", "benchmarks/agents/programs"):
        found += [path.read_bytes() for path in sorted((ROOT / folder).rglob("*.flow"))]
    for code in codes():
        found += [block.encode() for block in _BLOCK.findall(page(code) or "")]
    return [each for each in found if len(each) < 4000]


_BLOCK = re.compile(r"^```flow[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _pipelines(chance: Random | None = None) -> list[bytes]:
    named = [",".join(each.name for each in pipeline) for pipeline in PIPELINES.values()]
    return [*(text.encode() for text in named), b"canonicalise,cse,dce", b"convert-scf-to-cf{a=1 b=two}"]


TARGETS = (
    Target("check", _check, programs, WORDS, share=0.7),
    Target("compile", _compile, programs, WORDS, share=0.4),
    Target("format", _format, programs, WORDS, share=0.4),
    Target("ir", _ir, lambda: [IR.encode()], OF_IR, share=1.5),
    Target(
        "pipeline",
        _pipeline,
        _pipelines,
        by_words("cse", "dce", ",", "{", "}", "=", '"', "a=1", "mlir-opt", "test-"),
        share=1.2,
    ),
    Target("python", _python, lambda: [TOOLS.encode()], OF_PYTHON, share=0.5),
)
