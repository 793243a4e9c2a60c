"""ask_docs with decorators: the same flow as examples/ask_docs, as an ordinary Python program.

    python examples/python_api/ask.py "How are default parameter values evaluated?"

The decorated functions stay functions; the compiler reads their source. The tools are those of ask_docs.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import flowc
from flowc import f32

sys.path.insert(0, str(Path(__file__).parent.parent / "ask_docs"))
import tools

m, n, d = flowc.dims("m n d")


class Passage(NamedTuple):
    """A piece of one section of the language reference."""

    id: str
    title: str
    text: str


@dataclass
class Answer:
    """The answer, what it cites, and the citations of passages that the model never saw."""

    text: str
    cited: list[str]
    invented: list[str]


@flowc.tool(effects="reads reference")
def sections() -> list[Passage]:
    """Every section of the reference, in pieces."""
    return [Passage(*piece) for piece in tools.sections()]


@flowc.tool(effects="pure")
def by_words(question: str, passages: list[Passage], limit: int) -> list[int]:
    """Passages that hold the question's rarer words."""
    return tools.by_words(question, passages, limit)


@flowc.tool(effects="pure")
def by_titles(question: str, passages: list[Passage], limit: int) -> list[int]:
    """Passages of sections whose titles share words with the question."""
    return tools.by_titles(question, passages, limit)


@flowc.tool(effects="pure")
def fuse(rankings: list[list[int]], limit: int) -> list[int]:
    """High in several rankings beats first in one."""
    return tools.fuse(rankings, limit)


@flowc.tool(effects="pure")
def citations(text: str) -> list[str]:
    """The ids in square brackets."""
    return tools.citations(text)


@flowc.llm(model="small", retry=2, backoff=0.5)
def answer(question: str, passages: list[Passage]) -> str:
    """Answer the question from the passages, and from nothing else.
    After each statement cite the passage that supports it by its id in square brackets, as in [with.2].
    If the passages do not hold the answer, say so.

    Question: {question}

    Passages: {passages}
    """


@flowc.kernel
def cosine(queries: f32[m, d], rows: f32[n, d]) -> f32[m, n]:
    """Cosine similarity of every query with every row."""
    q = queries / np.sqrt(np.sum(queries * queries, axis=1, keepdims=True) + 1e-6)
    r = rows / np.sqrt(np.sum(rows * rows, axis=1, keepdims=True) + 1e-6)
    return q @ r.T


@flowc.flow(timeout=120)
def ask(question: str, k: int = 6) -> Answer:
    """Answers a question about Python from the language reference that ships with CPython."""
    passages = sections()
    scores = cosine(flowc.embed([question]), flowc.embed([p.text for p in passages]))
    meaning = flowc.topk(scores[0], 4 * k)
    words = by_words(question, passages, 4 * k)
    titles = by_titles(question, passages, 4 * k)
    best = [passages[i] for i in fuse([meaning.indices.tolist(), words, titles], k)]
    text = answer(question, best)
    cited = citations(text)
    known = [p.id for p in best]
    return Answer(text=text, cited=cited, invented=[c for c in cited if c not in known])


if __name__ == "__main__":
    found = ask(" ".join(sys.argv[1:]) or "How are default parameter values evaluated?")
    print(found.text)
    print("cited:", ", ".join(found.cited) or "nothing", "| invented:", ", ".join(found.invented) or "none")
