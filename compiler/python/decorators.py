"""The decorators: `@flow`, `@llm`, `@tool`, `@human`, `@event`, `@kernel`, bare or with settings."""

from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, overload

from flowc.compiler.python.callables import Flow, Tool
from flowc.compiler.python.definitions import Kind, Settings
from flowc.compiler.python.mode import Target, require_options

P = ParamSpec("P")
R = TypeVar("R")


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *,
    timeout: float | None = None,
    budget: float | None = None,
    tokens: int | None = None,
    calls: int | None = None,
    memory: int | None = None,
    associative: bool = False,
    retry: int | None = None,
    backoff: float | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Compiles a function as a flow: its independent calls run in parallel, its result is the sequential one.

    `timeout` is in seconds, `budget` in US dollars, `memory` in bytes. Calling the result runs it and gives
    the value; `await f.run(...)` is the coroutine form, `f.report(...)` gives the whole account of the run.
    """
    return _decorate("flow", function, settings)


@overload
def llm(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def llm(
    *,
    model: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    cached: bool = False,
    reorder: bool = False,
    fusable: bool = False,
    associative: bool = False,
    timeout: float | None = None,
    budget: float | None = None,
    tokens: int | None = None,
    retry: int | None = None,
    backoff: float | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def llm(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Makes a function a question to a model: the docstring is the prompt, the result type the schema."""
    return _decorate("llm", function, settings)


@overload
def human(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def human(*, timeout: float | None = None) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def human(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Makes a function a question to a person: its docstring is what is asked."""
    return _decorate("human", function, settings)


@overload
def event(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def event(*, timeout: float | None = None) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def event(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Makes a function something that is waited for until somebody tells it: its docstring says what."""
    return _decorate("event", function, settings)


@overload
def kernel(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def kernel(
    *,
    precise: bool = False,
    reproducible: bool = False,
    mode: Literal["native", "interpret"] = "native",
    target: Target = "cpu",
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def kernel(
    function: Callable[..., Any] | None = None,
    /,
    *,
    precise: bool = False,
    reproducible: bool = False,
    mode: Literal["native", "interpret"] = "native",
    target: Target = "cpu",
) -> Any:
    """Compiles a function of arrays, typed with extents such as `f32["n", 384]`, to native code.

    `precise` keeps strictly to IEEE arithmetic in the order written; `reproducible` gives the same bits on
    every machine. Called directly, one with `mode="interpret"` runs as the Python it is, for a debugger. With
    `target="cuda"` it is compiled for a GPU, with `"auto"` for wherever a call should end first.
    """
    require_options(precise=precise, reproducible=reproducible, mode=mode, target=target)
    settings = {
        "precise": precise,
        "reproducible": reproducible,
        "interpret": mode == "interpret",
        "target": target,
    }
    return _decorate("kernel", function, settings)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    effects: str,
    latency: float | None = None,
    timeout: float | None = None,
    retry: int | None = None,
    backoff: float | None = None,
    cached: bool = False,
    associative: bool = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Lets flows call a Python function. `effects` says what it does to the world: "pure", "reads web",
    "writes mail".

    `latency` is how long a call takes in the mean, in seconds: for plans and simulations, never a limit. The
    function itself is unchanged, and so is calling it outside a flow. Without effects a flow that calls
    it is refused, and told the three choices.
    """
    if function is not None:
        return Tool("tool", function, Settings())
    return lambda decorated: Tool("tool", decorated, Settings(**settings))


def _decorate(kind: Kind, function: Callable[..., Any] | None, settings: dict[str, Any]) -> Any:
    if function is not None:
        return Flow(kind, function, Settings(**settings))
    return lambda decorated: Flow(kind, decorated, Settings(**settings))
