"""Keys of this machine must not come into a recording: it is committed, and read by all."""

import json
import os
import re
from collections.abc import Iterable, Mapping

from flowc.runtime.config import Config

_NAMED = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
SHORTEST = 8
"""Characters below which a value is no key, and would be found everywhere."""


def keys_of(environment: Mapping[str, str], config: Config) -> dict[str, str]:
    """The environment variables that hold keys: those that flowc.toml names, and those that are called so."""
    named = {each.api_key_env for each in config.models.values()}
    return {
        name: value
        for name, value in environment.items()
        if len(value) >= SHORTEST and (name in named or _NAMED.search(name))
    }


def refuse_keys(lines: Iterable[str], config: Config) -> None:
    """Raises ValueError where a line of a recording holds a key of this machine."""
    __tracebackhide__ = True
    keys = {name: json.dumps(value)[1:-1] for name, value in keys_of(os.environ, config).items()}
    for line in lines:
        for name, value in keys.items():
            if value in line:
                raise ValueError(
                    f"nothing is recorded: what {_asked(line)} gave holds the value of the environment "
                    f"variable {name}, and a recording is read by all; give a stand-in, as in tools={{...}}"
                )


def _asked(line: str) -> str:
    step = str(json.loads(line)["step"])
    return f"`{step.rsplit(':', 1)[-1]}`"
