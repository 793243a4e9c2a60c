"""A picture in the dot language, and as SVG where graphviz is installed."""

import shutil
import subprocess

from flowc.compiler.graph.model import Contents, Graph, Shape, Step

STYLES: dict[Shape, str] = {
    "start": "shape=oval",
    "end": "shape=oval",
    "tool": "shape=box",
    "llm": 'shape=box, style="rounded,filled", fillcolor="#e8f0fe"',
    "human": 'shape=house, style=filled, fillcolor="#fef7e0"',
    "wait": 'shape=hexagon, style=filled, fillcolor="#fef7e0"',
    "kernel": "shape=box3d",
    "call": "shape=box, peripheries=2",
    "branch": "shape=diamond",
}
"""How each kind of step is drawn."""


def dot(graph: Graph) -> str:
    """The text of the picture."""
    lines = [f"digraph {_quote(graph.name)} {{", '  node [fontname="sans-serif"];']
    _contents(graph, graph.contents(), -1, "  ", lines)
    lines += [
        f"  {arrow.source} -> {arrow.target}{' [style=dashed]' if arrow.ordered else ''};"
        for arrow in graph.arrows
    ]
    return "\n".join([*lines, "}"]) + "\n"


def svg(graph: Graph) -> str | None:
    """The picture as SVG, or None where graphviz is not installed."""
    program = shutil.which("dot")
    if program is None:
        return None
    done = subprocess.run(
        [program, "-Tsvg"], input=dot(graph), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _contents(graph: Graph, contents: Contents, box: int, indent: str, lines: list[str]) -> None:
    steps, boxes = contents[box]
    lines += [indent + _step(step) for step in steps]
    for inner in boxes:
        lines.append(f"{indent}subgraph cluster_{inner} {{ label={_quote(graph.boxes[inner].label)};")
        _contents(graph, contents, inner, indent + "  ", lines)
        lines.append(f"{indent}}}")


def _step(step: Step) -> str:
    return f"{step.id} [label={_quote(step.label)}, {STYLES[step.shape]}];"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
