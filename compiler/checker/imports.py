"""Python imports: functions behind tools are read through `ast`, never run, and compared."""

import ast
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from attrs import evolve, frozen

from flowc.compiler.checker.context import World
from flowc.compiler.checker.effects import Body
from flowc.compiler.checker.model import Signature
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.python_types import accepts, show
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Callable, Import, Program, Span

LIMIT = 2 * 2**20
"""The largest Python file that is read, in bytes."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class PythonFile:
    """The functions at the top of a Python file; `others` are names that only running it would explain."""

    path: str
    functions: Mapping[str, FunctionNode]
    others: frozenset[str]


def bind_imports(program: Program, world: World, report: Report, folder: Path | None) -> None:
    """Names the Python function behind each imported tool and checks it."""
    files: dict[str, PythonFile | None] = {}
    seen: dict[str, Span] = {}
    for declaration in program.declarations:
        if not isinstance(declaration, Import):
            continue
        if declaration.path not in files:
            files[declaration.path] = _read(declaration, report, folder)
        for name in declaration.names:
            if name in seen:
                report.error(
                    "E0103",
                    f"`{name}` is imported twice",
                    declaration.span,
                    help="keep one",
                    causes=((seen[name], "first here"),),
                )
                continue
            seen[name] = declaration.span
            _bind(declaration, name, world, report, files[declaration.path])


def _bind(declaration: Import, name: str, world: World, report: Report, file: PythonFile | None) -> None:
    signature = world.callables.get(name)
    if signature is None or signature.kind != "tool":
        if name not in world.broken:
            report.error(
                "E0608",
                f"`{name}` is imported, and no tool of that name is declared",
                declaration.span,
                why="the declaration gives the types and effects that Python does not tell",
                help=f"declare it: `tool {name}(...) -> ... pure`",
            )
        return
    world.callables[name] = evolve(signature, module=declaration.path, function=name)
    if file is None or (name in file.others and name not in file.functions):
        return
    function = file.functions.get(name)
    if function is None:
        report.error(
            "E0604",
            f"`{declaration.path}` has no function `{name}`",
            declaration.span,
            help=did_you_mean(
                name, file.functions, f"it has {listed(file.functions)}" if file.functions else ""
            ),
        )
        return
    _compare(declaration, signature, function, report)


def warn_unused_imports(program: Program, bodies: Mapping[str, Body], report: Report) -> None:
    """Warns of imported tools that nothing calls, unless the file has no flows at all."""
    flows = [each for each in program.declarations if isinstance(each, Callable) and each.kind == "flow"]
    if not flows:
        return
    called = {call.callee for body in bodies.values() for call in body.calls} | _undoing(program)
    for declaration in program.declarations:
        for name in declaration.names if isinstance(declaration, Import) else ():
            if name in bodies and name not in called:
                report.warning(
                    "E0132",
                    f"the imported `{name}` is never called",
                    declaration.span,
                    help="remove the import and the tool",
                )


def _undoing(program: Program) -> set[str]:
    """The tools that a transaction may call, since they take back what others write."""
    tools = [each for each in program.declarations if isinstance(each, Callable)]
    return {effect.undo for tool in tools for effect in tool.effects or () if effect.undo is not None}


def _read(declaration: Import, report: Report, folder: Path | None) -> PythonFile | None:
    if not _is_inside(declaration, report):
        return None
    if folder is None:
        return None
    path = folder / declaration.path
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            _escapes(declaration, report, "a link leads out of the program's folder")
            return None
        if not path.is_file():
            near = sorted(each.name for each in folder.glob("*.py"))[:1000]
            report.error(
                "E0601",
                f"there is no file `{declaration.path}`",
                declaration.span,
                why="imports are looked for beside the program",
                help=did_you_mean(declaration.path, near),
            )
            return None
        if path.stat().st_size > LIMIT:
            report.error(
                "E0607",
                f"`{declaration.path}` is larger than 2 MB",
                declaration.span,
                help="import less of it",
            )
            return None
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        report.error("E0601", f"`{declaration.path}` cannot be read: {reason}", declaration.span)
        return None
    return _parse(declaration, report, data)


def _is_inside(declaration: Import, report: Report) -> bool:
    written = PurePosixPath(declaration.path)
    if written.is_absolute() or ".." in written.parts or "\\" in declaration.path or ":" in declaration.path:
        _escapes(declaration, report, "a program reads no files but its own")
        return False
    if written.suffix != ".py" or "\0" in declaration.path:
        report.error(
            "E0609",
            f"`{declaration.path}` is no Python file",
            declaration.span,
            help='import from a file that ends in `.py`: `from "tools.py" import search`',
        )
        return False
    return True


def _escapes(declaration: Import, report: Report, why: str) -> None:
    report.error(
        "E0602",
        f"`{declaration.path}` leads out of the program's folder",
        declaration.span,
        why=why,
        help="move the file beside the program and import it from there",
    )


def _parse(declaration: Import, report: Report, data: bytes) -> PythonFile | None:
    try:
        tree = ast.parse(data, declaration.path)
    except SyntaxError as error:
        where = f" in line {error.lineno}" if error.lineno else ""
        report.error(
            "E0603",
            f"`{declaration.path}` is not valid Python{where}",
            declaration.span,
            why=error.msg,
            help="correct it; `python -m py_compile` says more",
        )
        return None
    except (ValueError, RecursionError, MemoryError) as error:
        report.error("E0603", f"`{declaration.path}` cannot be parsed as Python: {error}", declaration.span)
        return None
    functions: dict[str, FunctionNode] = {}
    others: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions[node.name] = node
        else:
            others |= _bound_names(node)
    return PythonFile(declaration.path, functions, frozenset(others))


def _bound_names(node: ast.stmt) -> set[str]:
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(each, ast.alias):
            found.add((each.asname or each.name).partition(".")[0])
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(each.name)
    return found


def _compare(declaration: Import, signature: Signature, function: FunctionNode, report: Report) -> None:
    place = f"{declaration.path}, line {function.lineno}"
    header = signature.declaration.header
    if function.decorator_list and not _is_plain(function):
        return
    taken = [*function.args.posonlyargs, *function.args.args]
    needed = len(taken) - len(function.args.defaults)
    wanted = [parameter.name for parameter in signature.parameters]
    names = [argument.arg for argument in taken]
    keyword_only = [
        argument.arg
        for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if default is None
    ]
    too_many = len(wanted) > len(names) and function.args.vararg is None
    if too_many or len(wanted) < needed or keyword_only or names[: len(wanted)] != wanted[: len(names)]:
        report.error(
            "E0605",
            f"`{signature.name}` is declared with other parameters than the function has",
            header,
            why=f"declared `({', '.join(wanted)})`, in {place} `({', '.join([*names, *keyword_only])})`",
            help="give both the same parameters in the same order",
        )
        return
    for parameter, argument in zip(signature.parameters, taken, strict=False):
        if not accepts(argument.annotation, parameter.type):
            _mismatch(
                report,
                f"`{parameter.name}` of `{signature.name}`",
                parameter.span,
                argument.annotation,
                place,
            )
    if not accepts(function.returns, signature.result):
        _mismatch(
            report,
            f"the result of `{signature.name}`",
            signature.declaration.result.span,
            function.returns,
            place,
        )


def _is_plain(function: FunctionNode) -> bool:
    """Whether every decorator is known to keep the parameters."""
    names = {each.id if isinstance(each, ast.Name) else each.attr if isinstance(each, ast.Attribute) else ""
             for each in function.decorator_list}  # fmt: skip
    return names <= {"cache", "lru_cache", "staticmethod"}


def _mismatch(report: Report, what: str, span: Span, annotation: ast.expr | None, place: str) -> None:
    report.error(
        "E0606",
        f"{what} has another type in Python",
        span,
        f"Python says `{show(annotation)}`",
        why=f"the function is annotated so in {place}",
        help="declare what the function takes and gives, or correct its annotation",
    )
