"""Many runs of one flow: a line of JSON in, a line of JSON out, in the order of the input."""

import asyncio
import json
import secrets
from typing import Any

from flowc.cli import arguments, streams
from flowc.cli.failure import FINE, RUN
from flowc.cli.loaded import Loaded
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Function
from flowc.runtime.result import RunResult

IN_FLIGHT = 16
"""How many runs of a batch go on at once."""


def run_batch(
    loaded: Loaded, function: Function, common: dict[str, Any], path: str, environment: Environment
) -> int:
    """Runs the flow for each line of the file; `common` are arguments that every run gets."""
    from pathlib import Path

    from flowc.runtime.execute import run_in_loop

    lines = [
        common | arguments.with_arrays(function, line, Path(path).parent)
        for line in arguments.read_lines(path)
    ]
    status: int = run_in_loop(environment, lambda: _run_all(loaded, function, lines, environment))
    return status


async def _run_all(
    loaded: Loaded, function: Function, lines: list[dict[str, Any]], environment: Environment
) -> int:
    """Prints each result as soon as all before it are printed; 3 when any run failed."""
    from flowc.runtime.execute import load, run_plan

    ready = load(loaded.plan, environment)
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(given: dict[str, Any]) -> tuple[dict[str, Any], int]:
        async with room:
            try:
                report = await run_plan(ready, function.name, given)
            except FlowError as error:  # the arguments of this line do not fit
                refused = RunResult(secrets.token_hex(8), "failed", problem=error.problem)
                return dict(refused.to_json()), refused.exit_code
            return dict(report.to_json()), report.exit_code

    status = FINE
    tasks = [asyncio.create_task(one(given)) for given in lines]
    try:
        for task in tasks:
            printed, code = await task
            streams.write(json.dumps(printed, ensure_ascii=False))
            status = max(status, min(code, RUN))
    finally:
        await ready.registry.close()
    return status
