"""The flowc.toml of an imported graph: which models stand behind its aliases."""

import json
import re
from collections.abc import Iterable, Mapping

from flowc.compiler.importers.halo.model import Step

_BARE = re.compile(r"[A-Za-z0-9_-]+")
ENDPOINT = "http://localhost:8000/v1"
"""Where vLLM, the engine of such graphs, serves when nothing else is said."""


def aliases(steps: Iterable[Step]) -> Mapping[str, str]:
    """A short name for each model: what stands behind its last slash, where that is one model's alone."""
    models = list(dict.fromkeys(step.model for step in steps if step.model))
    short = [model.rstrip("/").rpartition("/")[2] or model for model in models]
    return {
        model: name if short.count(name) == 1 else model for model, name in zip(models, short, strict=True)
    }


def toml(models: Mapping[str, str]) -> str:
    """The text of the file; empty where there is no model."""
    return "\n".join(_section(model, alias) for model, alias in models.items())


def _section(model: str, alias: str) -> str:
    key = alias if _BARE.fullmatch(alias) else _text(alias)
    return f'[models.{key}]\nprovider = "openai"\nmodel = {_text(model)}\nbase_url = "{ENDPOINT}"\n'


def _text(text: str) -> str:
    """A basic string of TOML; JSON's escapes are among its own."""
    return json.dumps(text)
