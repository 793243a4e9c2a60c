"""What a decorator leaves behind: the function, its kind, and the settings it was given."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from attrs import asdict, frozen

P = ParamSpec("P")
R = TypeVar("R")

Kind = Literal["flow", "llm", "tool", "human", "event", "kernel"]


@frozen
class Settings:
    """The arguments of a decorator. Times in seconds, money in US dollars, memory in bytes.

    `interpret` has a kernel run as the Python that it is, `target` says what it is compiled for.
    """

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    latency: float | None = None
    cached: bool = False
    reorder: bool = False
    fusable: bool = False
    associative: bool = False
    retry: int | None = None
    backoff: float | None = None
    timeout: float | None = None
    budget: float | None = None
    tokens: int | None = None
    calls: int | None = None
    memory: int | None = None
    effects: str | None = None
    precise: bool = False
    reproducible: bool = False
    interpret: bool = False
    target: str = "cpu"

    def limits(self) -> dict[str, Any]:
        """The limits that are set."""
        names = ("retry", "backoff", "timeout", "budget", "tokens", "calls", "memory")
        return {name: value for name, value in asdict(self).items() if name in names and value is not None}


@frozen
class RunOptions:
    """How to run: what `flowc run` takes as options.

    `target` is what all kernels are compiled for, whatever they say themselves. `answers` stand in for
    people: by the name of the human, a value, or a function of what is asked. Runs are kept in `journal`, a
    file or a postgresql:// URL, where one is named.
    """

    provider: str | None = None
    seed: int | None = None
    optimisation: int = 2
    target: str | None = None
    answers: Mapping[str, Any] = {}
    subscribers: tuple[Callable[[Any], None], ...] = ()
    journal: str | None = None


class Definition(Generic[P, R]):
    """A decorated function. What calling it does depends on the kind; the compiler only reads it."""

    def __init__(self, kind: Kind, function: Callable[P, R], settings: Settings) -> None:
        self.kind = kind
        self.function = function
        self.settings = settings
        self.__name__ = getattr(function, "__name__", "flow")
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __repr__(self) -> str:
        return f"<flowc {self.kind} {self.__name__}>"

    def __reduce__(self) -> str:
        """Goes to another process by its name, as a plain function does."""
        return self.function.__qualname__
