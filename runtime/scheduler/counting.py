"""What a provider says that a call cost, before anyone relies on it."""

from typing import TypeGuard

from flowc.runtime.providers.base import Request, Response, Usage, estimate_tokens

CODE = "E0849"
"""The code of the warning that counts cannot be."""

MOST = 100_000_000
"""Tokens beyond what any model reads or writes in one call."""


def is_credible(usage: object) -> TypeGuard[Usage]:
    """Whether these counts can be those of a call."""
    if not isinstance(usage, Usage):
        return False
    counts = usage.prompt, usage.answer, usage.cached
    return all(isinstance(each, int) and 0 <= each <= MOST for each in counts) and usage.queued >= 0


def estimated(request: Request, response: Response) -> Usage:
    """About what a call cost, where the provider's counts cannot be relied on."""
    return Usage(estimate_tokens(request.prompt), estimate_tokens(response.text), estimated=True)


def incredible(request: Request, usage: object) -> str:
    """The warning about such counts, as a line of the trace."""
    said = f"{usage.prompt} and {usage.answer} tokens" if isinstance(usage, Usage) else f"{usage!r:.40}"
    return (
        f"warning[{CODE}]: the provider counts {said} for `{request.operation}`, which cannot be; "
        f"{request.step} is counted by an estimate, and budgets take the most that it may have cost"
    )
