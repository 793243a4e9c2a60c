"""A picture in Mermaid's flowchart syntax, as documentation sites draw it."""

from flowc.compiler.graph.model import Contents, Graph, Shape, Step

BRACKETS: dict[Shape, tuple[str, str]] = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "tool": ("[", "]"),
    "llm": ("(", ")"),
    "human": ("[/", "/]"),
    "wait": ("{{", "}}"),
    "kernel": ("[[", "]]"),
    "call": ("[", "]"),
    "branch": ("{", "}"),
}
"""The brackets that give a step its shape."""


def mermaid(graph: Graph) -> str:
    """The text of the picture."""
    lines = ["flowchart TD"]
    _contents(graph, graph.contents(), -1, "    ", lines)
    lines += [
        f"    {arrow.source} {'-.->' if arrow.ordered else '-->'} {arrow.target}" for arrow in graph.arrows
    ]
    return "\n".join(lines) + "\n"


def _contents(graph: Graph, contents: Contents, box: int, indent: str, lines: list[str]) -> None:
    steps, boxes = contents[box]
    lines += [indent + _step(step) for step in steps]
    for inner in boxes:
        lines.append(f'{indent}subgraph b{inner}["{_escape(graph.boxes[inner].label)}"]')
        _contents(graph, contents, inner, indent + "    ", lines)
        lines.append(f"{indent}end")


def _step(step: Step) -> str:
    left, right = BRACKETS[step.shape]
    return f'{step.id}{left}"{_escape(step.label)}"{right}'


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
