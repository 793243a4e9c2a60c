"""Generated flows as text, and a deterministic world in which the order of effects shows in the values."""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import define, field
from hypothesis import strategies as st

HEADER = """\
record Pair:
    left: int
    right: int

tool work(i: int) -> int pure
tool look(i: int) -> int reads db
tool put(i: int) -> int writes db undo unput
tool unput(i: int) -> none writes db
tool note(i: int) -> none writes journal undo erase
tool erase(i: int) -> none writes journal
tool shaky(i: int) -> int reads web
tool shelve(i: int) -> int writes shelf idempotent undo unshelve
tool unshelve(i: int) -> none writes shelf idempotent
tool peek(i: int) -> int reads shelf

@associative
tool total(i: int, j: int) -> int pure

llm guess(i: int) -> int:
    \"\"\"Guess {i}\"\"\"

@cached
llm recall(i: int) -> int:
    \"\"\"Recall {i}\"\"\"

llm weigh(i: int, unused: int) -> Pair:
    \"\"\"Weigh {i}\"\"\"

@reorder
llm follow(i: int, rule: int) -> int:
    \"\"\"Take {i}.

    The rule is {rule}.\"\"\"

flow helper(i: int, n: int) -> int:
    if i > n:
        return put(i)
    return look(i) + n

"""
VARIABLES = ("a", "b", "c")
TOOLS = ("work", "guess", "look", "put")
SHELF = ("shelve", "shelve", "peek")
IDEMPOTENT = frozenset({"shelve", "unshelve"})
"""Tools whose write is the same twice as once: of equal ones in a row, one is enough."""
INDENT = "    "


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression of type int."""
    kind = draw(st.integers(0, 15 if depth else 1))
    inner = expressions(depth - 1) if depth else st.nothing()
    match kind:
        case 0:
            return str(draw(st.integers(0, 9)))
        case 1 | 2 | 3:
            return draw(st.sampled_from((*VARIABLES, "n")))
        case 4 | 5:
            operator = draw(st.sampled_from(("+", "-", "*", "//")))
            right = draw(st.sampled_from(VARIABLES)) if operator == "//" else draw(inner)
            return f"({draw(inner)} {operator} {right})"
        case 6 | 7 | 8:
            tool = draw(st.sampled_from(("work", "look", "put", "guess", "recall", "shaky", *SHELF)))
            return f"{tool}({draw(inner)})"
        case 9:
            return f"({draw(inner)} if {draw(conditions(depth - 1))} else {draw(inner)})"
        case 10:
            return f"(try {draw(inner)} else {draw(inner)})"
        case 11:
            return f"sum({draw(lists(depth - 1))})"
        case 12:
            return f"helper({draw(inner)}, {draw(inner)})"
        case 13:
            return f"weigh({draw(inner)}, {draw(inner)}).left"
        case 14:
            return f"follow({draw(inner)}, {draw(inner)})"
        case _:
            return f"Pair(left={draw(inner)}, right={draw(inner)}).{draw(st.sampled_from(('left', 'right')))}"


@st.composite
def conditions(draw: st.DrawFn, depth: int = 1) -> str:
    """An expression of type bool."""
    first = draw(expressions(max(depth, 0)))
    second = draw(expressions(0))
    comparison = f"{first} {draw(st.sampled_from(('<', '==', '>=')))} {second}"
    if depth > 0 and draw(st.integers(0, 3)) == 0:
        return f"({comparison} {draw(st.sampled_from(('and', 'or')))} {draw(conditions(depth - 1))})"
    return f"({comparison})"


_ASKED = ("guess(guess(x))", "weigh(x, work(x)).left", "follow(x, a)", "follow(a, x) + a")


@st.composite
def lists(draw: st.DrawFn, depth: int = 1) -> str:
    """An expression of type list[int]."""
    if draw(st.booleans()):
        return "xs"
    source = draw(st.sampled_from(("xs", "range(3)")))
    body = draw(
        st.sampled_from(("work(x)", "look(x)", "guess(x)", "x + a", "put(x)", "work(x) + look(a)", *_ASKED))
    )
    test = draw(st.sampled_from(("", "", " if x > 1", " if work(x) > 2")))
    return f"[{body} for x in {source}{test}]"


@st.composite
def blocks(draw: st.DrawFn, depth: int, loop: bool, level: int) -> list[str]:
    """The lines of a block."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        lines += draw(statements(depth, loop, level))
    return lines


@st.composite
def statements(draw: st.DrawFn, depth: int, loop: bool, level: int) -> list[str]:
    """The lines of one statement."""
    pad = INDENT * level
    target = draw(st.sampled_from(VARIABLES))
    kind = draw(st.integers(0, 17 if depth else 5))
    inner = blocks(depth - 1, loop, level + 1) if depth else st.nothing()
    looped = blocks(depth - 1, True, level + 1) if depth else st.nothing()
    match kind:
        case 0 | 1 | 2:
            return [f"{pad}{target} = {draw(expressions())}"]
        case 3:
            return [f"{pad}xs = xs + [{draw(expressions(1))}]"]
        case 4:
            written = f"{draw(st.sampled_from(('note', 'put')))}({draw(expressions(1))})"
            return [f"{pad}{'sleep(0.0)' if draw(st.integers(0, 4)) == 0 else written}"]
        case 5:
            return [f"{pad}{target} += {draw(expressions(1))}"]
        case 6 | 7:
            lines = [f"{pad}if {draw(conditions())}:", *draw(inner)]
            if draw(st.booleans()):
                lines += [f"{pad}else:", *draw(inner)]
            return lines
        case 8 | 9:
            source = draw(st.sampled_from(("range(3)", "xs", "[1, 2]")))
            return [f"{pad}for i{level} in {source}:", f"{pad}{INDENT}a = a + i{level}", *draw(looped)]
        case 10:
            return [f"{pad}while {draw(conditions())} up to 3:", *draw(looped)]
        case 11:
            return [f"{pad}try:", *draw(inner), f"{pad}else:", *draw(inner)]
        case 16:
            return [f"{pad}with transaction:", *draw(inner)]
        case 17:
            fails = f"{pad}{INDENT}{INDENT}{target} = shaky({draw(expressions(1))})"
            block = draw(blocks(depth - 1, loop, level + 2))
            tried = [f"{pad}try:", f"{pad}{INDENT}with transaction:", *block, fails]
            return [*tried, f"{pad}else:", *draw(inner)]
        case 12:
            leaving = ["return " + draw(expressions(1))]
            leaving += ["break", "continue"] if loop else []
            return [f"{pad}if {draw(conditions())}:", f"{pad}{INDENT}{draw(st.sampled_from(leaving))}"]
        case 13:
            gathered = f"{pad}{INDENT}xs = xs + [{draw(st.sampled_from(('work', 'guess', 'look')))}(y)]"
            return [f"{pad}for y in range(3):", gathered]
        case _:
            source = draw(st.sampled_from(("range(5)", "xs")))
            return [f"{pad}for y in {source}:", *draw(rounds(target, level))]


@st.composite
def rounds(draw: st.DrawFn, target: str, level: int) -> list[str]:
    """The body of a loop that gathers on a condition, combines in a chain, or asks the same each round."""
    pad = INDENT * (level + 1)
    asked = draw(st.sampled_from((*[f"{name}(y)" for name in TOOLS], "recall(a)", "work(n)", "look(n)")))
    match draw(st.integers(0, 4)):
        case 0:
            lines = [f"{pad}if y > 1:", f"{pad}{INDENT}xs = xs + [{asked}]"]
            return [*lines, f"{pad}else:", f"{pad}{INDENT}{target} += 1"] if draw(st.booleans()) else lines
        case 1:
            first, second = draw(st.permutations((target, asked)))
            return [f"{pad}{target} = total({first}, {second})"]
        case 2:
            return [f"{pad}{target} += {asked}"]
        case 3:
            return [f"{pad}{target} += {asked}", f"{pad}put({asked})"]
        case _:
            return [f"{pad}if work(y) > {asked}:", f"{pad}{INDENT}xs = xs + [y]"]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program with a flow `main(n)`."""
    setup = [f"{INDENT}{name} = {draw(st.integers(0, 5))}" for name in VARIABLES]
    setup.append(f"{INDENT}xs = [{draw(st.integers(0, 5))}, n]")
    body = draw(blocks(2, False, 1))
    result = f"{INDENT}return a + 10 * b + 100 * c + 1000 * sum(xs)"
    return HEADER + "flow main(n: int) -> int:\n" + "\n".join([*setup, *body, result]) + "\n"


@define
class GeneratedWorld:
    """Answers for the tools and models above. What `look` gives depends on every `put` before, in order."""

    state: int = 0
    shelf: dict[int, int] = field(factory=dict)
    calls: list[tuple[str, int]] = field(factory=list)

    def tool(self, name: str, arguments: Mapping[str, object]) -> object:
        """A tool's result."""
        number = arguments["i"]
        assert isinstance(number, int)
        self.calls.append((name, number))
        match name:
            case "work":
                return (number * 7 + 3) % 101
            case "total":
                other = arguments["j"]
                assert isinstance(other, int)
                return composed(number, other)
            case "look":
                return (self.state + number) % 97
            case "put":
                self.state = (self.state * 31 + number) % 1009
                return self.state % 5
            case "unput":
                self.state = (self.state * 17 + number + 5) % 1009
            case "unshelve":
                self.shelf.pop(number % 3, None)
            case "shelve":
                self.shelf[number % 3] = number
                return number % 7
            case "peek":
                return self.shelf.get(number % 3, 0) % 23
            case "shaky":
                if number % 3 == 0:
                    raise ValueError("shaky fails for multiples of three")
                return number % 11
        return None

    def generate(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """A model's answer: a function of its prompt, in whatever order its paragraphs stand."""
        number = sum(map(ord, prompt)) % 13
        return {"left": number, "right": 1} if name == "weigh" else number

    def ask(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """A person's answer."""
        return True

    def embed(self, texts: Sequence[str]) -> object:
        """Embeddings."""
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    def execute(self, plan: object, tools: Sequence[str]) -> list[object]:
        """No plan is ever written."""
        return []


def composed(first: int, second: int) -> int:
    """Associative, and not commutative: two maps x -> a * x + b modulo 7, each as 7 * a + b, one after the
    other.
    """
    (a, b), (c, d) = divmod(first % 49, 7), divmod(second % 49, 7)
    return (a * c) % 7 * 7 + (a * d + b) % 7
