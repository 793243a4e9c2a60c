"""A task model as JSON: plain tables of bounded size, checked when they are read."""

import json
from typing import Any

import numpy as np

from flowc.passes.cost.task_model import MOST_SAMPLES, Category, TaskModel
from flowc.passes.cost.task_neighbours import FEATURES
from flowc.passes.cost.task_samples import Origin

FORMAT = 1
MOST_BYTES = 2**26
LARGEST = 100.0
"""Above the logarithm of all bytes and seconds that there are."""


def as_json(model: TaskModel) -> str:
    """The text of a model; what it is read back as forecasts the same."""
    categories = {
        name: {
            "features": table.features.tolist(),
            "logarithms": table.logarithms.tolist(),
            "inputs": table.inputs.tolist(),
            "origins": table.origins.tolist(),
        }
        for name, table in model.categories.items()
    }
    origins = [[origin.instance, origin.content] for origin in model.origins]
    return json.dumps({"format": FORMAT, "origins": origins, "categories": categories})


def from_json(text: str) -> TaskModel:
    """The model of a text. Raises ValueError for what is none, or is not of this format."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(text)
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r:.20} is not {FORMAT}")
        origins = tuple(Origin(str(instance), str(content)) for instance, content in found["origins"])
        tables = {
            str(name): _category(columns, len(origins)) for name, columns in found["categories"].items()
        }
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"this is no model of task times: {error!r:.80}") from None
    return TaskModel(tables, origins)


def _category(columns: Any, origins: int) -> Category:
    table = Category(
        np.array(columns["features"], np.float64),
        np.array(columns["logarithms"], np.float64),
        np.array(columns["inputs"], np.str_),
        np.array(columns["origins"], np.int64),
    )
    rows = len(table.logarithms)
    if (
        not 0 < rows <= MOST_SAMPLES
        or table.features.shape != (rows, FEATURES)
        or table.logarithms.shape != (rows,)
        or table.inputs.shape != (rows,)
        or table.origins.shape != (rows,)
    ):
        raise ValueError("the columns of a category are not of one length")
    if not ((np.abs(table.features) < LARGEST).all() and (np.abs(table.logarithms) < LARGEST).all()):
        raise ValueError("a number is no logarithm of seconds or bytes")
    if not ((table.origins >= 0) & (table.origins < origins)).all():
        raise ValueError("a sample is of no run")
    return table
