"""A decorated function and all that it reaches, as one program of the language."""

import ast
import inspect
from collections.abc import Callable as AnyCallable
from typing import Any

from attrs import Factory, define, evolve, frozen

from flowc.compiler.builtins import BUILTINS, SPECIAL_FORMS
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source
from flowc.compiler.python.annotations import TypeTable, Unsupported, hints
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.effects import parse_effects
from flowc.compiler.python.expressions import Translator
from flowc.compiler.python.prompts import prompt
from flowc.compiler.python.scope import scope_of
from flowc.compiler.python.source import File, FunctionNode, Sources, locate, problem
from flowc.compiler.python.statements import block, limit_calls
from flowc.compiler.syntax import (
    Argument,
    Block,
    Call,
    Callable,
    Constant,
    Declaration,
    Decorator,
    Effect,
    Name,
    Parameter,
    Program,
    Return,
    Span,
    Template,
    TypeRef,
)

PROMPTED = ("llm", "human", "event")
"""The kinds whose docstring is a prompt."""

CALL = "call_"
"""What the name of a flow around another callable begins with."""


@frozen
class Built:
    """A program made from Python: the tree, the text its spans point into, and what the names stand for.

    `entry` is the flow to run; `tools` are the Python functions behind the tools; `types` knows the classes
    behind records and enums; `targets` are what kernels say that they are compiled for.
    """

    program: Program
    source: Source
    sources: Sources
    entry: str
    tools: dict[str, AnyCallable[..., Any]]
    types: TypeTable
    targets: dict[str, str]


def build(entry: Definition[..., Any]) -> Built:
    """Translates a decorated function with all it calls; raises CompileError with all that is wrong."""
    builder = _Builder()
    name = builder.define(entry)
    if entry.kind != "flow" and not builder.problems:
        name = builder.wrap(name)
    source = builder.sources.joined()
    if builder.problems:
        raise builder.sources.relocate(CompileError(source, tuple(builder.problems)))
    declarations = (*builder.types.declarations.values(), *builder.callables.values())
    last = max((item.span.end_line for item in declarations), default=1)
    program = Program(declarations, python=True, span=Span(1, 1, last, 1))
    return Built(program, source, builder.sources, name, builder.tools, builder.types, builder.targets)


@define
class _Builder:
    """Collects declarations; each decorated function gets a name of its own on first sight."""

    sources: Sources = Factory(Sources)
    types: TypeTable = Factory(TypeTable)
    names: dict[int, str] = Factory(dict)
    callables: dict[str, Declaration] = Factory(dict)
    tools: dict[str, AnyCallable[..., Any]] = Factory(dict)
    targets: dict[str, str] = Factory(dict)
    problems: list[Diagnostic] = Factory(list)

    def declared(self, value: object, span: Span) -> str | None:
        """The name under which a decorated function, a record class or an enum is declared."""
        if isinstance(value, Definition):
            return self.names.get(id(value)) or self.define(value)
        if isinstance(value, type) and value.__module__ != "builtins":
            try:
                return self.types.reference(value, span).name
            except Unsupported:
                return None
        return None

    def define(self, definition: Definition[..., Any]) -> str:
        """Declares a decorated function and gives its name in the program."""
        name = self.free_name(definition)
        file, node = locate(definition.function, self.sources)
        if definition.kind == "tool":
            self.tools[name] = definition.function
        if definition.kind == "kernel":
            self.targets[name] = definition.settings.target
        self.callables[name] = self._callable(definition, name, file, node)
        return name

    def free_name(self, definition: Definition[..., Any]) -> str:
        """Gives a definition a name of its own, its Python name where that is free."""
        name, number = definition.__name__, 2
        while self._is_taken(name):
            name, number = f"{definition.__name__}_{number}", number + 1
        self.names[id(definition)] = name
        return name

    def _is_taken(self, name: str) -> bool:
        """Whether a declaration of that name would hide a built-in or another declaration."""
        return (
            name in BUILTINS
            or name in SPECIAL_FORMS
            or name in self.names.values()
            or name in self.types.declarations
        )

    def wrap(self, name: str) -> str:
        """A flow around a callable of another kind, for calling it from Python."""
        inner = self.callables[name]
        assert isinstance(inner, Callable)
        span = inner.header
        arguments = tuple(Argument(None, Name(p.name, span=span), span=span) for p in inner.parameters)
        body = (Return(Call(Name(name, span=span), arguments, span=span), span=span),)
        outer = f"{CALL}{name}"
        self.callables[outer] = Callable(
            "flow", outer, inner.parameters, inner.result, body=body, span=inner.span, header=span
        )
        return outer

    def _callable(
        self, definition: Definition[..., Any], name: str, file: File, node: FunctionNode
    ) -> Callable:
        translator = Translator(
            file, scope_of(definition.function, node), self, self.problems, definition.kind == "kernel"
        )
        header = _header(file, node)
        annotations = self._hints(definition, header)
        return Callable(
            definition.kind,
            name,
            self._parameters(translator, node, annotations, header),
            self._type(annotations.get("return", inspect.Parameter.empty), name, "result", header),
            self._effects(definition, header),
            _decorators(definition, header),
            self._prompt(translator, definition, node, header),
            self._body(translator, definition, node),
            ast.get_docstring(node) if definition.kind not in PROMPTED else None,
            span=file.span(node),
            header=header,
        )

    def _hints(self, definition: Definition[..., Any], header: Span) -> dict[str, Any]:
        try:
            return hints(definition.function)
        except Unsupported as error:
            self.problems.append(
                problem(
                    "E0084", f"the annotations of `{definition.__name__}` cannot be read: {error}", header
                )
            )
            return {}

    def _parameters(
        self, translator: Translator, node: FunctionNode, annotations: dict[str, Any], header: Span
    ) -> tuple[Parameter, ...]:
        arguments = node.args
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                help = "name every parameter: a flow's signature is what its callers are checked against"
                translator.refuse(extra, f"`*{extra.arg}` has no fixed type", help, "E0088")
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
        pairs = [
            *zip(plain, [*defaults, *arguments.defaults], strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        found = []
        for item, default in pairs:
            span = translator.file.span(item)
            annotation = annotations.get(item.arg, inspect.Parameter.empty)
            type_ = self._type(annotation, item.arg, "parameter", span)
            value = None if default is None else translator.expression(default)
            found.append(Parameter(item.arg, type_, value, span=span))
        return tuple(found)

    def _type(self, annotation: Any, name: str, role: str, span: Span) -> TypeRef:
        if annotation is inspect.Parameter.empty:
            what = (
                f"`{name}` has no annotation"
                if role == "parameter"
                else f"`{name}` does not say what it gives"
            )
            help = "write `-> str`" if role == "result" else f"write its type: `{name}: str`"
            self.problems.append(problem("E0083", what, span, help=help))
            return TypeRef("none", span=span)
        try:
            return self.types.reference(annotation, span)
        except Unsupported as error:
            self.problems.append(
                problem("E0084", f"the type of {role} `{name}` is not understood", span, help=str(error))
            )
            return TypeRef("none", span=span)

    def _effects(self, definition: Definition[..., Any], header: Span) -> tuple[Effect, ...] | None:
        text = definition.settings.effects
        if text is None:
            return None
        effects = parse_effects(text, header)
        if effects is None:
            help = (
                'say `pure`, `reads R` or `writes R`, each with a resource: effects="reads web, writes mail"'
            )
            self.problems.append(problem("E0091", f"`{text}` are no effects", header, help=help))
            return None
        return tuple(self._with_undo(definition, effect, header) for effect in effects)

    def _with_undo(self, definition: Definition[..., Any], effect: Effect, header: Span) -> Effect:
        """The effect with its undo by the name that this has in the program, where the module has it."""
        found = definition.function.__globals__.get(effect.undo) if effect.undo is not None else None
        if not isinstance(found, Definition):
            return effect
        return evolve(effect, undo=self.declared(found, header))

    def _prompt(
        self, translator: Translator, definition: Definition[..., Any], node: FunctionNode, header: Span
    ) -> Template | None:
        if definition.kind not in PROMPTED:
            return None
        match node.body[0]:
            case ast.Expr(value=ast.Constant(value=str()) as docstring):
                return prompt(translator, docstring)
        help = f'write what to ask as its docstring: """Summarise {{{_first_parameter(node)}}}."""'
        self.problems.append(problem("E0089", f"`{definition.__name__}` has no prompt", header, help=help))
        return Template((), span=header)

    def _body(
        self, translator: Translator, definition: Definition[..., Any], node: FunctionNode
    ) -> Block | None:
        if definition.kind not in ("flow", "kernel"):
            return None
        if isinstance(node, ast.AsyncFunctionDef):
            help = "write `def`, and `await f.run(...)` where you call it"
            translator.refuse(node, "a flow is an ordinary function", help, "E0081")
        return block(translator, self.types, node.body)


def _first_parameter(node: FunctionNode) -> str:
    return node.args.args[0].arg if node.args.args else "text"


def _header(file: File, node: FunctionNode) -> Span:
    span = file.span(node)
    line = file.lines[node.lineno - 1] if node.lineno <= len(file.lines) else ""
    return Span(span.line, span.column, span.line, len(line.rstrip()) + 1)


def _decorators(definition: Definition[..., Any], span: Span) -> tuple[Decorator, ...]:
    settings = definition.settings
    found = []
    if settings.model is not None:
        found.append(
            Decorator(
                "model", (Argument(None, Constant("str", settings.model, span=span), span=span),), span=span
            )
        )
    if settings.latency is not None:
        mean = Constant("duration", settings.latency, span=span)
        found.append(Decorator("latency", (Argument(None, mean, span=span),), span=span))
    names = ("cached", "reorder", "fusable", "associative", "precise", "reproducible")
    flags = [name for name in names if getattr(settings, name)]
    found.extend(Decorator(name, span=span) for name in flags)
    for call in limit_calls(settings.limits(), span):
        assert isinstance(call.function, Name)
        found.append(Decorator(call.function.id, call.arguments, span=span))
    return tuple(found)
