"""What a person writes: settings, clusters, traces, arguments, arrays, models of costs."""

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from flowc.cli import arguments
from flowc.cli.failure import UsageProblem
from flowc.compiler.diagnostics.pages import codes
from flowc.passes.cost import kernel_model, task_tables, variant_model
from flowc.passes.simulation.cluster_file import read_cluster
from flowc.runtime.arrays import read_npy
from flowc.runtime.config import load_config
from flowc.runtime.errors import FlowError
from flowc.runtime.providers.simulated.traces import read_trace
from flowc.runtime.reading import bind_arguments
from flowc.runtime.values import to_json
from tests.fuzz.contract import Mutate, Target
from tests.fuzz.mutation import by_bytes, by_json, by_words
from tests.fuzz.targets.artifacts import plan
from tests.fuzz.targets.language import MEMORY, ROOT

CONFIG = """[run]
provider = "simulated"
seed = 7
weight = 2.5
target = "auto"

[models.default]
provider = "openai"
base_url = "http://x/v1"
price_in = 0.5
price_cached = 0.1
price_batch = 0.5
requests_per_minute = 60
max_in_flight = 3
timeout = 1.5
batch = true

[models.default.simulated]
first_token = "200ms"
tokens_per_second = { distribution = "normal", mean = 50, spread = 0.2 }

[simulated]
people = "30s"
"""
CLUSTER = """bandwidth = 1e9
[[workers]]
count = 3
speed = 2.0
mtbf = 100.0
repair = 5
[[workers]]
"""
TRACES = (
    "arrival,tokens_in,tokens_out,latency,first_token,model\n0,10,5,1.5,0.5,m\n1.5,20,1,,,\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50+00:00,9,1\n",
    '{"timestamp": 27482, "input_length": 1200, "output_length": 52, "hash_ids": [46, 47]}\n' * 2,
    '{"traceEvents": [{"cat": "generate", "ts": 5, "dur": 1000, "args": '
    '{"calls": 1, "waited_s": 0, "tokens_in": 3, "tokens_out": 2, "model": "m"}}]}',
)
ARGUMENTS = ('{"question": "why?", "n": 3}', '{"question": "a", "n": 2.0}\n{"question": "b"}\n')


def _of_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Gives the bytes to a reader of files."""

    def code_of(path: Path) -> str | None:
        try:
            read(path)
        except FlowError as error:
            return error.problem.code
        except UsageProblem as error:
            return error.diagnostic.code
        return None

    def run(data: bytes) -> None:
        folder = Path(tempfile.mkdtemp(dir=MEMORY))
        try:
            (folder / name).write_bytes(data)
            code = code_of(folder / name)
            assert code is None or code in codes(), f"{code} has no page"
        finally:
            shutil.rmtree(folder)

    return run


def _of_texts(
    name: str, file: str, read: Callable[[Path], object], texts: Sequence[str], mutate: Mutate, share: float
) -> Target:
    """A target that gives mutated texts to a reader of files."""
    return Target(name, _of_file(file, read), lambda: [each.encode() for each in texts], mutate, share)


def _arguments(path: Path) -> None:
    """A file of arguments: one object, or one a line."""
    flow = plan().functions["main"]
    for each in ([arguments.read_object(str(path))], arguments.read_lines(str(path))):
        for given in each:
            with suppress(FlowError):
                bind_arguments(plan(), flow, arguments.with_arrays(flow, given, path.parent))


def _lines(path: Path) -> None:
    for given in arguments.read_lines(str(path)):
        with suppress(FlowError):
            bind_arguments(plan(), plan().functions["main"], given)


def _array(path: Path) -> None:
    found = read_npy(path)
    if found.dtype.kind in "biuf":
        to_json(found)


def _models(data: bytes) -> None:
    """The models of costs that earlier measurements left."""
    text = data.decode("utf-8", "replace")
    with suppress(kernel_model.ModelError):
        kernel_model.from_json(text)
    with suppress(variant_model.VariantModelError):
        variant_model.from_json(text)
    with suppress(ValueError):
        task_tables.from_json(text)


def _arrays() -> list[bytes]:
    found = []
    for array in (np.arange(6, dtype=np.float32).reshape(2, 3), np.array(True), np.zeros((0, 2), np.int8)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def _models_kept() -> list[bytes]:
    """The models that come with the compiler."""
    forest: dict[str, Any] = {
        "ends": [1, 2, 3],
        "features": [0],
        "thresholds": [0.5],
        "children": [1],
        "leaves": [0.0],
    }
    versions = {
        "version": 1,
        "features": [],
        "machines": [],
        "samples": 3,
        "lowest": [],
        "highest": [],
        "forest": forest,
    }
    table = {"features": [[0.0] * 4], "logarithms": [1.0], "inputs": ["a"], "origins": [0]}
    tables = {"format": task_tables.FORMAT, "origins": [["a", "b"]], "categories": {"work": table}}
    shipped = [path.read_bytes() for path in sorted((ROOT / "passes" / "cost").glob("*.json"))]
    return [
        json.dumps(versions).encode(),
        json.dumps(tables).encode(),
        *(each for each in shipped if len(each) < 10**5),
    ]


TOML = by_words(
    "[run]", "[models.a]", "[simulated]", "[[workers]]", "[models.default.simulated]", "provider", "seed",
    "weight",
    "target", "recording", "journal", "price_in", "timeout", "=", "true", "false", "inf", "nan", "-inf",
    '"1h"',
    '"-3ms"', "1979-05-27T07:32:00Z", "{", "}", "[", "]", "'''", "first_token", "distribution", "lognormal",
    "empirical",
    "values", "replicas", "quota", "serving", "people", "tools", "count", "speed", "bandwidth", "\n",
    "# ", "a.b.c = 1",
)  # fmt: skip
OF_TRACES = by_json(
    "timestamp", "input_length", "output_length", "hash_ids", "traceEvents", "cat", "generate", "dur",
    "ts", "args",
    "calls", "waited_s", "tokens_in", "tokens_out", "model", "arrival", ",", "\n", '"',
    "2023-11-16 18:15:46", "+00:00",
)  # fmt: skip
GIVEN = by_json("question", "n", "[1, 2]", "x.npy", "\n", "\ufeff")
OF_MODELS = by_json(
    "version", "features", "forest", "machines", "samples", "leaves", "ends", "origins", "categories"
)
TARGETS = (
    _of_texts("config", "flowc.toml", load_config, (CONFIG,), TOML, 2.0),
    _of_texts("cluster", "cluster.toml", lambda path: read_cluster(path, 2), (CLUSTER,), TOML, 3.0),
    _of_texts("trace", "trace", read_trace, TRACES, OF_TRACES, 2.0),
    _of_texts("arguments", "args.json", _arguments, ARGUMENTS, GIVEN, 5.0),
    _of_texts("argument-lines", "a.jsonl", _lines, ARGUMENTS, GIVEN, 3.5),
    Target("array", _of_file("a.npy", _array), _arrays, by_bytes, share=3.0),
    Target("cost-models", _models, _models_kept, OF_MODELS, share=5.0),
)
