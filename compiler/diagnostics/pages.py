"""The page of each diagnostic code: what it means, a wrong program, and the same program right."""

import functools
from importlib import resources

_FOLDER = "flowc.compiler.errors"


def page(code: str) -> str | None:
    """The page's Markdown, or None where there is no such code."""
    if code not in codes():
        return None
    return resources.files(_FOLDER).joinpath(f"{code}.md").read_text(encoding="utf-8")


@functools.cache
def codes() -> tuple[str, ...]:
    """All codes, in order."""
    names = (entry.name for entry in resources.files(_FOLDER).iterdir())
    return tuple(
        sorted(name.removesuffix(".md") for name in names if name[:1] == "E" and name.endswith(".md"))
    )


def title(code: str) -> str:
    """The headline of a code's page. Raises KeyError where there is no such code."""
    text = page(code)
    if text is None:
        raise KeyError(code)
    return text.split("\n", 1)[0].removeprefix(f"# {code}:").strip()
