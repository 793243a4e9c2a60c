"""Hostile text ends soon, in little memory, with a diagnostic."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flowc.compiler.formatter import format_program
from flowc.compiler.parser import parse
from flowc.compiler.parser.limits import recursion_room
from tests.forked import run_forked

MIB = 2**20
FLOW = b"flow f() -> int:\n    return "

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "10 MB of opening brackets": (lambda: b"[" * (10 * MIB), "E0043"),
    "10 MB of empty brackets": (lambda: FLOW + b"[]" * (5 * MIB), "E0043"),
    "10 MB of brackets, one a line": (lambda: b"[\n" * (5 * MIB), "E0043"),
    "10 MB of closing brackets": (lambda: b")" * (10 * MIB), "E0007"),
    "100,000 nested parentheses": (lambda: FLOW + b"(" * 100_000 + b")" * 100_000, "E0041"),
    "1,001 nested lists": (lambda: FLOW + b"[" * 1_001 + b"]" * 1_001, "E0041"),
    "5,000 nested blocks": (
        lambda: b"flow f() -> int:\n" + b"\n".join(b" " * level + b"if x:" for level in range(1, 5_000)),
        "E0042",
    ),
    "an open string": (lambda: FLOW + b'"abc', "E0003"),
    "an open string of 10 MB": (lambda: FLOW + b'"' + b"a" * (10 * MIB), "E0003"),
    "an open string of 10 MB of escapes": (lambda: FLOW + b'"' + b"\\n" * (5 * MIB), "E0003"),
    "an open text of 10 MB": (lambda: FLOW + b'"""' + b'a" ' * (3 * MIB), "E0003"),
    "an open prompt of 10 MB": (lambda: b'llm f() -> int: """' + b'\\"' * (5 * MIB), "E0003"),
    "100,000 nested holes": (lambda: FLOW + b'f"{' * 100_000, "E0041"),
    "invalid UTF-8": (lambda: FLOW + b"\xff\xfe", "E0045"),
    "invalid UTF-8 after 10 MB": (lambda: b"#" + b"a" * (10 * MIB) + b"\xff", "E0045"),
    "a literal of a million digits": (lambda: FLOW + b"1" * 1_000_000, "E0044"),
    "a hexadecimal literal of a million digits": (lambda: FLOW + b"0x" + b"f" * 1_000_000, "E0044"),
    "17 MB": (lambda: b" " * (17 * MIB), "E0040"),
    "a NUL byte": (lambda: FLOW + b"\0", "E0038"),
    "a chain of 500,000 minus signs": (lambda: FLOW + b"- " * 500_000 + b"1", "E0046"),
    "a sum of 500,000 terms": (lambda: FLOW + b"a+" * 500_000 + b"1", "E0046"),
    "a chain of 500,000 powers": (lambda: FLOW + b"a**" * 500_000 + b"1", "E0046"),
    "a chain of 200,000 choices": (lambda: FLOW + b"a if b else " * 200_000 + b"c", "E0046"),
    "two million attributes": (lambda: FLOW + b"a" + b".a" * (2 * MIB), "E0046"),
    "a name of 10 MB": (lambda: FLOW + b"a" * (10 * MIB), "E0044"),
    "10 MB of tabs": (lambda: b"\t" * (10 * MIB) + b"x", "E0010"),
    "three million lines": (lambda: b"flow\n" * (3 * MIB), "E0043"),
}

AHEAD = """
import json, re, resource, sys, time
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.diagnostics.render import render_plain
from flowc.compiler.parser import parse_bytes
"""
CHILD = """
import json, re, resource, sys, time
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.diagnostics.render import render_plain
from flowc.compiler.parser import parse_bytes
data = open(sys.argv[1], "rb").read()
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
begin = time.process_time()
codes, size = [], 0
try:
    parse_bytes(data, "m.flow")
except CompileError as error:
    codes = [diagnostic.code for diagnostic in error.diagnostics]
    size = sum(len(render_plain(diagnostic, error.source)) for diagnostic in error.diagnostics)
print(json.dumps({
    "codes": codes, "printed": size, "seconds": time.process_time() - begin,
    "mib": int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024,
}))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_within_a_second_and_256_mb(name: str, tmp_path: Path) -> None:
    make, code = HOSTILE[name]
    path = tmp_path / "hostile.flow"
    path.write_bytes(make())
    child = run_forked(CHILD, ("-c", str(path)), ahead=AHEAD, at_once=True)
    assert (child.status, child.err) == (0, "")
    said = json.loads(child.out)
    assert said["codes"][0] == code
    assert said["seconds"] < 1
    assert said["mib"] < 256
    assert said["printed"] < 5_000 * len(said["codes"])


@pytest.mark.parametrize(
    "text",
    [
        "flow f() -> int:\n    return " + "[" * 1_000 + "]" * 1_000,
        "flow f() -> int:\n    return " + "-" * 999 + "x",
        "flow f() -> int:\n    return " + "x" + " + x" * 1_000,
        "flow f() -> int:\n    return " + "f(" * 999 + ")" * 999,
        "flow f() -> int:\n    return " + "a if b else " * 999 + "c",
        "flow f() -> int:\n"
        + "".join(" " * level + "if x:\n" for level in range(1, 200))
        + " " * 200
        + "pass",
    ],
    ids=["brackets", "signs", "sum", "calls", "choices", "blocks"],
)
def test_what_the_limits_let_through_is_parsed_formatted_and_compared(text: str) -> None:
    program = parse(text, "deep.flow")
    with recursion_room():
        assert parse(format_program(program), "deep.flow") == program


def test_work_grows_linearly_with_the_program() -> None:
    def calls(count: int) -> int:
        lines = "".join(f"    y{i} = g(x, k={i})[{i}] + y{i}.z\n" for i in range(count))
        text = f"flow f(x: int) -> int:\n{lines}    return 1\n"
        made = 0

        def seen(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(seen)
        try:
            parse(text, "long.flow")
        finally:
            sys.setprofile(None)
        return made

    assert calls(2_000) < 4.1 * calls(500)
