"""What can go wrong with an endpoint, as coded problems."""

import contextlib
import email.utils
import math
import re
import time
from collections.abc import Mapping

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import LONGEST_WAIT, ModelSettings, ProviderError, Usage
from flowc.runtime.providers.rate_limits import allowance


class TooLarge(Exception):
    """A response that is longer than any answer."""

    def __init__(self, count: int, what: str = "were read and no end was in sight") -> None:
        super().__init__(f"{count:,} bytes {what}")


class Encoded(Exception):
    """A response that is compressed although that was declined."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


def problem_of(error: BaseException, settings: ModelSettings, key: str) -> ProviderError:
    """The coded error behind an exception of the SDK, of the connection or of our reading."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(cause := _cause(error, TooLarge), TooLarge):
        return _error(
            "E0826", "the endpoint sent an answer without end", str(cause), settings, rejected=False
        )
    if isinstance(cause := _cause(error, Encoded), Encoded):
        return _error(
            "E0827", "the endpoint sent what is not OpenAI's protocol", str(cause), settings, rejected=False
        )
    if isinstance(error, TimeoutError) or type(error).__name__ == "APITimeoutError":
        why = f"nothing complete came within {settings.timeout:g} s"
        return _error("E0823", "the endpoint did not answer in time", why, settings, rejected=False)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return _of_status(error, status, settings, key)
    said = _redacted(_innermost(error), key)
    if isinstance(error, EOFError) or type(error).__name__ in _CONNECTION:
        return _error("E0822", "the connection to the endpoint broke", said, settings, rejected=False)
    return _error("E0827", "the endpoint sent what is not OpenAI's protocol", said, settings, rejected=False)


_CONNECTION = frozenset(
    [
        "APIConnectionError",
        "ReadError",
        "RemoteProtocolError",
        "ConnectError",
        "WriteError",
        "ReadTimeout",
        "CloseError",
    ]
)

_HELP = {
    "E0822": "see that the endpoint runs; `@retry(2, backoff=1s)` bridges short failures",
    "E0823": "raise `timeout` in flowc.toml, or ask for less",
    "E0826": "set `max_tokens` in flowc.toml; see that this is a chat endpoint",
    "E0827": "see that `base_url` in flowc.toml is that of an OpenAI-compatible endpoint",
    "E0820": "`@retry(3)` waits as the endpoint asks; `requests_per_minute` in flowc.toml avoids it",
    "E0821": "`@retry(2, backoff=1s)` bridges short failures",
    "E0824": "see that the key is right and may use this model",
    "E0825": "see that the model exists at this endpoint and knows what is asked of it",
}


def _error(
    code: str,
    message: str,
    why: str,
    settings: ModelSettings,
    *,
    rejected: bool,
    retryable: bool = True,
    after: float | None = None,
) -> ProviderError:
    where = _without_secrets(settings.base_url) or "the OpenAI API"
    problem = Problem(code, f"{message} (model `{settings.alias}`)", f"{where}: {why}", _HELP[code])
    error = ProviderError(problem, retryable=retryable, after=after)
    error.usage = Usage() if rejected else None
    return error


def _of_status(error: BaseException, status: int, settings: ModelSettings, key: str) -> ProviderError:
    body = getattr(error, "body", None)
    said = _redacted(_message(body) or str(error), key)
    why = f"status {status}: {said}"
    headers = getattr(getattr(error, "response", None), "headers", {})
    after = retry_after(headers)
    if status == 429:
        spent = isinstance(body, Mapping) and body.get("code") == "insufficient_quota"
        refused = _error(
            "E0820", "the endpoint takes no more requests now", why, settings,
            rejected=True, retryable=not spent, after=after,
        )  # fmt: skip
        refused.allowance = allowance(headers)
        return refused
    if status == 408:
        return _error("E0823", "the endpoint did not answer in time", why, settings, rejected=True)
    if status >= 500:
        return _error("E0821", "the endpoint failed", why, settings, rejected=True, after=after)
    if status in (401, 403):
        return _error("E0824", "the endpoint refused the key", why, settings, rejected=True, retryable=False)
    return _error("E0825", "the endpoint refused the request", why, settings, rejected=True, retryable=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait: Retry-After (seconds or a date), or its form in
    milliseconds.
    """
    with contextlib.suppress(ValueError, TypeError):
        return _bounded(float(headers.get("retry-after-ms", "")) / 1e3)
    value = headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return _bounded(float(value))
    with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
        return _bounded(email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _bounded(seconds: float) -> float:
    if math.isnan(seconds):
        raise ValueError("no number of seconds")
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _message(body: object) -> str:
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping) and isinstance(inner.get("message"), str):
            return str(inner["message"])[:300]
    return ""


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    at: BaseException | None = error
    while at is not None and not isinstance(at, kind):
        at = at.__cause__ or at.__context__
    return at


def _innermost(error: BaseException) -> str:
    cause = error.__cause__
    said = f"{type(error).__name__}: {error}"
    return said if cause is None or not str(cause) else f"{said} ({type(cause).__name__}: {cause})"


def _without_secrets(url: str | None) -> str:
    """An address without the user, the password and the query in it, which may be keys."""
    return re.sub(r"(?<=//)[^/?#]*@|[?#].*", "", url or "", flags=re.DOTALL)


def _redacted(said: str, key: str) -> str:
    """A message without the key and without what looks like one, in one line."""
    if key:
        said = said.replace(key, "***")
    return re.sub(r"\bsk-[\w*-]{6,}", "***", " ".join(said.split()))[:300]
