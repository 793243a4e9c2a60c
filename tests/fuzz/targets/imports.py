"""Programs of other systems."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text
from flowc.compiler.importers import CONFIGURED, configuration, importer
from flowc.compiler.importers.wfcommons import warnings
from flowc.compiler.importers.wfcommons.packed import unpacked
from flowc.compiler.importers.wfcommons.reading import read
from flowc.compiler.importers.wfcommons.samples import samples_of
from flowc.compiler.parser import decode
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_bytes, by_json, by_words
from tests.fuzz.targets.language import ROOT, seen

CHECKED = 8
"""One of so many programs that came out is checked, too, by the hash of what it was made of."""
PLAN = """Thought: find both, then compare
1. search("cheetah")
2. math("cheetah max speed in km/h if 1.3 times slower?", ["$1"])
3. search(In Cold Blood, the film)
5. math('max($2, ${3}) / {4} of "it"', 2.5, -3)
7. join()
<END_OF_PLAN>
whatever follows
"""
GRAPH = """graph:
  name: shop
  nodes:
    - {id: start, type: input, outputs: [q]}
    - &ask
      id: look
      type: inference
      model: small
      db_queries:
        - name: rows
          sql: "SELECT a, b FROM t WHERE c = :q::text LIMIT 5"
          parameters: {q: "{{ q }}"}
          param_types: {q: text}
      system_prompt: |
        Say of {{ q }}. Output JSON only: { "said": "string", "score": "number or null" }
      inputs: [q]
      outputs: [said, score]
    - id: post
      type: http
      method: POST
      url: "http://x/{{said}}"
      json: {text: "{{ said }}"}
      inputs: [said]
    - id: limits
      type: processor
      processor: regex_param_extractor
      config:
        {regex: {since: ["since ([0-9]{4})"]}, defaults: {since: 1930}, normalize: {numeric_fields: [since]}}
      inputs: [q]
      outputs: [bounds]
  edges:
    - {from: start, to: look}
    - {from: look, to: post}
"""
YAML = by_words(
    "graph:", "nodes:", "edges:", "id:", "type:", "input", "inference", "http", "processor", "inputs:",
    "outputs:",
    "system_prompt:", "model:", "db_queries:", "sql:", "url:", "method:", "params:", "json:", "config:",
    "parameters:",
    "param_types:", "latency_s:", "regex:", "defaults:", "normalize:", "regex_param_extractor", "&a ",
    "*a", "*ask", "<<: *ask", "!!str",
    "!!python/object:os.system", "!!binary", "!!int", "!!float", "|\n", ">-\n", "---\n", "...\n", "? ",
    "- ", ": ", "[", "]",
    "{", "}", "{{ q }}", "{% for x in y %}", "{{ a | b }}", "null", "~", ".inf", "0o17", "1:20:30",
    "2001-12-14",
    "SELECT", "FROM", "WHERE", "INSERT INTO", "--", "/*", "'a''b'", "\n  ", "\n    ", "%YAML 1.1", "%TAG",
)  # fmt: skip
OF_PLANS = by_words(
    "1.", "2. ", "$1", "${2}", "$", "join()", "<END_OF_PLAN>", "Thought:", "search(", "math(", ")", "[",
    "]", ",", '"',
    "'", "\\", "{", "}", "f(x=1)", "\n", "99999999999999999999. f()", "-1. f()", "0. f()", "1.5", "def",
    "flow",
)  # fmt: skip
WORKFLOW = by_json(
    "workflow", "specification", "execution", "tasks", "files", "parents", "children", "inputFiles",
    "outputFiles",
    "id", "name", "sizeInBytes", "runtimeInSeconds", "split_1", "work_2", "work_3", "merge_4",
    "schemaVersion", "1.5",
    "split_1.out", "command", "program", "machines", "coreCount", "memoryInBytes", "avgCPU",
)  # fmt: skip


def _into_a_program(form: str, text: str, number: int) -> None:
    """What comes out is a program that checks, and settings that TOML can read; else it is refused."""
    path = f"fuzz.{form}"
    try:
        program = importer(form)(text, path)
        if form in CONFIGURED:
            configuration(form)(text, path)
    except CompileError as error:
        seen(error)
        return
    if number % CHECKED == 0:
        try:
            check_text(program, "made.flow")
        except CompileError as error:
            raise AssertionError(f"{error.diagnostics[0].title} in the program:\n{program[:1000]}") from error


def _reading(form: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            text = decode(data, f"fuzz.{form}")
        except CompileError as error:
            seen(error)
            return
        _into_a_program(form, text, zlib.crc32(data))

    return run


def _wfcommons(data: bytes) -> None:
    """A recorded workflow, also as what `flowc simulate` and its model of times make of it."""
    try:
        text = unpacked(data, "fuzz.json")
        samples_of(read(text, "fuzz.json"))
        warnings(text, "fuzz.json")
    except CompileError as error:
        seen(error)
        return
    _into_a_program("wfcommons", text, zlib.crc32(data))


def workflow() -> dict[str, Any]:
    """A recorded run of four tasks."""
    steps = (
        ("split_1", []),
        ("work_2", ["split_1"]),
        ("work_3", ["split_1"]),
        ("merge_4", ["work_2", "work_3"]),
    )
    tasks = [
        {"name": id_, "id": id_, "parents": parents, "children": [each for each, of in steps if id_ in of],
         "inputFiles": [f"{parent}.out" for parent in parents], "outputFiles": [f"{id_}.out"]}
        for id_, parents in steps
    ]  # fmt: skip
    ran = [{"id": id_, "runtimeInSeconds": 2.5, "command": {"program": "x"}} for id_, _ in steps]
    files = [{"id": f"{id_}.out", "sizeInBytes": 100} for id_, _ in steps]
    specified = {"tasks": tasks, "files": files}
    return {
        "name": "made", "schemaVersion": "1.5",
        "workflow": {"specification": specified, "execution": {"tasks": ran, "machines": []}},
    }  # fmt: skip


def _workflows() -> list[bytes]:
    text = json.dumps(workflow()).encode()
    return [text, gzip.compress(text, mtime=0)]


def _packed(chance: Random, corpus: Sequence[bytes]) -> bytes:
    """A changed text, now and then packed; or changed behind the packing."""
    if chance.random() < 0.15:
        return by_bytes(chance, corpus)
    text = WORKFLOW(chance, [each for each in corpus if not each.startswith(b"\x1f\x8b")] or corpus)
    return gzip.compress(text, 1, mtime=0) if chance.random() < 0.1 else text


def _graphs() -> list[bytes]:
    folder = Path(ROOT / "benchmarks" / "agents" / "programs")
    return [GRAPH.encode(), *(path.read_bytes() for path in sorted(folder.glob("*.yaml")))]


TARGETS = (
    Target("halo", _reading("halo"), _graphs, YAML, share=0.7),
    Target("llmcompiler", _reading("llmcompiler"), lambda: [PLAN.encode()], OF_PLANS, share=0.7),
    Target("wfcommons", _wfcommons, _workflows, _packed, share=0.45),
)
