"""Probes where faults would be sown: clean code that tells who comes there.

Unlike a tracer, a probe costs nothing elsewhere, so that times are true, and it works in all threads and
processes.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from shutil import copyfile
from typing import Any

from tests.assurance.mutants import probe
from tests.assurance.mutants.model import Mutant

NAMED = "_reached_by_a_test"


def probed(copy: Path, mutants: Iterable[Mutant]) -> set[str]:
    """Writes probes into a copy of the tree; gives the faults that have one. The others run at import."""
    files = defaultdict[str, list[Mutant]](list)
    for mutant in mutants:
        files[mutant.file].append(mutant)
    found: set[str] = set()
    for file, of in files.items():
        text = (copy / file).read_text(encoding="utf-8")
        written, names = with_probes(text, of)
        (copy / file).write_text(written, encoding="utf-8")
        found |= names
    assert probe.__file__ is not None
    copyfile(probe.__file__, copy / "src/flowc/_probe.py")
    return found


def with_probes(text: str, mutants: Iterable[Mutant]) -> tuple[str, set[str]]:
    """A module with probes before the statements that faults change, and the faults that have one."""
    tree = ast.parse(text)
    faults = defaultdict[ast.stmt, list[str]](list)
    probed: set[str] = set()
    for mutant in mutants:
        places = [_innermost(tree, line, False) for line in changed_lines(text, mutant)]
        if not places or None in places:
            continue
        probed.add(mutant.id)
        for place in {*places}:
            if place is not None:
                faults[place].append(mutant.id)
    _insert(tree, faults)
    if probed:
        after = len([*takewhile(_goes_first, tree.body)])
        tree.body[after:after] = ast.parse(f"from flowc._probe import reached as {NAMED}").body
    return ast.unparse(ast.fix_missing_locations(tree)), probed


def changed_lines(text: str, mutant: Mutant) -> list[int]:
    """The numbers of the lines with code that a fault changes; where it only adds, of those around."""
    start = text.index(mutant.old)
    before = _alike(mutant.old, mutant.new)
    end = start + len(mutant.old) - _alike(mutant.old[before:][::-1], mutant.new[before:][::-1])
    start += before
    if changed := text[start:end].rstrip():
        end = start + len(changed)
    else:
        start = len(text[:start].rstrip()) - 1
    first = text.count("\n", 0, start) + 1
    lines = text.splitlines()[first - 1 : text.count("\n", 0, end) + 1]
    return [first + place for place, line in enumerate(lines) if line.strip() and line.strip()[0] != "#"]


def _alike(a: str, b: str) -> int:
    """The length of what two texts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _innermost(node: ast.AST, line: int, inside: bool) -> ast.stmt | None:
    """The innermost statement at a line that runs when a function is called."""
    for each in _statements(node):
        decorators: Sequence[ast.expr] = getattr(each, "decorator_list", ())
        if min(each.lineno, *(one.lineno for one in decorators), each.lineno) > line:
            continue
        if line <= (each.end_lineno or each.lineno):
            function = isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            return _innermost(each, line, inside or function) or (each if inside else None)
    return None


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.stmt):
            yield each
        elif isinstance(each, ast.excepthandler | ast.match_case):
            yield from _statements(each)


def _insert(tree: ast.AST, faults: Mapping[ast.stmt, Sequence[str]]) -> None:
    for node in [*ast.walk(tree)]:
        for name, value in [*ast.iter_fields(node)]:
            if isinstance(value, list) and any(each in faults for each in value):
                setattr(node, name, [one for each in value for one in (*_probes(faults, each), each)])


def _probes(faults: Mapping[ast.stmt, Sequence[str]], statement: Any) -> Iterator[ast.stmt]:
    for fault in faults.get(statement, ()):
        yield from ast.parse(f"{NAMED}({fault!r})").body


def _goes_first(statement: ast.stmt) -> bool:
    """Whether nothing may come before it."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")
