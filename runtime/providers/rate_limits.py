"""What endpoints say of their rate limits in the headers of answers.

OpenAI's form, Anthropic's, and the IETF's (draft-ietf-httpapi-ratelimit-headers) in its two versions. What
makes no sense is passed over: an endpoint must not be able to stop a run by a header.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from flowc.runtime.providers.base import Allowance, Quota

LONGEST = 600.0
"""Seconds after which an endpoint is asked again, whatever it said."""

WINDOW = 60.0
"""Seconds after which a limit is whole again where the endpoint does not say when."""

MOST_DIGITS = 12

REQUESTS = ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}", "x-ratelimit-{}", "ratelimit-{}")
TOKENS = ("x-ratelimit-{}-tokens", "anthropic-ratelimit-tokens-{}")

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_ITEM = re.compile(r"\b(limit|remaining|reset|q|r|t)\s*=\s*(\d+)(?![\w.])")
_FULL_NAME = {"q": "limit", "r": "remaining", "t": "reset"}


def allowance(headers: Mapping[str, str]) -> Allowance | None:
    """What the headers of an answer that has just come say may still be asked; None where they do not."""
    found = Allowance(_first(headers, REQUESTS) or _structured(headers), _first(headers, TOKENS))
    return found if found.requests is not None or found.tokens is not None else None


def _first(headers: Mapping[str, str], forms: tuple[str, ...]) -> Quota | None:
    for form in forms:
        quota = _quota({part: headers.get(form.format(part), "") for part in ("limit", "remaining", "reset")})
        if quota is not None:
            return quota
    return None


def _structured(headers: Mapping[str, str]) -> Quota | None:
    """`RateLimit: limit=100, remaining=50, reset=30`, or `RateLimit: "policy";r=50;t=30` with the limit in
    `RateLimit-Policy: "policy";q=100`: of several policies the one of which least is left.
    """
    said, policies = (headers.get(name, "")[:1000] for name in ("ratelimit", "ratelimit-policy"))
    parts = [said] if "remaining" in said else said.split(",")
    limits = _items(policies) if "," not in policies else {}
    quotas = [quota for part in parts if (quota := _quota(limits | _items(part))) is not None]
    return min(quotas, key=lambda quota: quota.left, default=None)


def _items(text: str) -> dict[str, str]:
    return {_FULL_NAME.get(name, name): value for name, value in _ITEM.findall(text)}


def _quota(said: Mapping[str, str]) -> Quota | None:
    left = _count(said.get("remaining", ""))
    if left is None:
        return None
    limit = _count(said.get("limit", "")) or None
    if limit is not None and left > limit:
        return None
    until = asyncio.get_running_loop().time() + _seconds(said.get("reset", ""))
    return Quota(left, until, limit)


def _count(text: str) -> int | None:
    text = text[:64].partition(",")[0].partition(";")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def _seconds(text: str) -> float:
    """Seconds from now: a number of them, a duration such as `6m0s`, or a time (RFC 3339, or since 1970)."""
    text = text.strip()[:64]
    seconds = WINDOW
    if (match := _DURATION.fullmatch(text)) and any(match.groups()):
        hours, minutes, whole, thousandths = (float(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + whole + thousandths / 1e3
    else:
        try:
            seconds = _number(float(text))
        except ValueError:
            with suppress(ValueError, OverflowError):
                seconds = datetime.fromisoformat(text).timestamp() - time.time()
    return min(seconds, LONGEST) if seconds >= 0 else WINDOW


def _number(value: float) -> float:
    """A number of seconds; one so large that it must be a time is one, in seconds or thousandths of them."""
    if value > 1e11:
        value /= 1e3
    return value - time.time() if value > 1e8 else value
