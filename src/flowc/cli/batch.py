"""Many runs of one flow: a line of JSON in, a line of JSON out, in the order of the input."""

import json
import secrets
from contextlib import aclosing
from typing import Any

from flowc.cli import arguments, streams
from flowc.cli.failure import FINE, RUN
from flowc.cli.loaded import Loaded
from flowc.runtime.environment import Environment
from flowc.runtime.plan import Function
from flowc.runtime.result import RunResult


def read_batch(function: Function, common: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The arguments of each line of the file, with those that all lines have in common."""
    from pathlib import Path

    folder = Path(path).parent
    return [common | arguments.with_arrays(function, line, folder) for line in arguments.read_lines(path)]


def run_batch(
    loaded: Loaded,
    function: Function,
    common: dict[str, Any],
    path: str,
    environment: Environment,
    width: int | None,
) -> int:
    """Runs the flow for each line of the file, `width` at once; `common` are arguments of every run."""
    from flowc.runtime.blocking import run_in_loop

    lines = read_batch(function, common, path)
    status: int = run_in_loop(environment, lambda: _run_all(loaded, function, lines, environment, width))
    return status


async def _run_all(
    loaded: Loaded,
    function: Function,
    lines: list[dict[str, Any]],
    environment: Environment,
    width: int | None,
) -> int:
    """Prints each result as soon as all before it are printed; 3 when any run failed."""
    from flowc.runtime.batch import run_each
    from flowc.runtime.execute import load

    status = FINE
    ready = load(loaded.plan, environment)
    async with aclosing(run_each(ready, function.name, lines, width=width)) as results:
        async for ended in results:
            if not isinstance(ended, RunResult):  # the arguments of this line do not fit
                ended = RunResult(secrets.token_hex(8), "failed", problem=ended.problem)
            streams.write(json.dumps(dict(ended.to_json()), ensure_ascii=False))
            status = max(status, min(ended.exit_code, RUN))
    return status
