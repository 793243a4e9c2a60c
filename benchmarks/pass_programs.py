"""Programs that somebody would write, one in which each pass fires."""

from attrs import frozen

RULES = "no claim without a source; " * 200

ESSAY = "The sea is wide. " * 8

DECLARATIONS = """
tool fetch(url: str) -> str reads web
tool note(text: str) -> none writes diary
tool rank(text: str) -> int pure

@model("small")
llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

record Verdict:
    reasoning: str
    fits: bool
    quote: str
    caveats: list[str]

@fusable
llm outline(topic: str) -> str:
    \"\"\"Outline {topic}\"\"\"

@fusable
llm draft(plan: str) -> str:
    \"\"\"Write what {plan} outlines\"\"\"

llm topics(about: str) -> list[str]:
    \"\"\"What belongs to {about}?\"\"\"

record Report:
    title: str
    topics: list[str]
    body: list[str]

llm report(about: str) -> Report:
    \"\"\"What is to be said about {about}?\"\"\"

llm essay(about: str) -> str:
    \"\"\"{about}\"\"\"

llm arrange(goal: str) -> plan[fetch, rank, note]:
    \"\"\"How to {goal}?\"\"\"

@associative
llm merge(first: str, second: str) -> str:
    \"\"\"{first} {second}\"\"\"

@model("large")
@reorder
llm judge(text: str, rules: str, notes: list[str] = []) -> Verdict:
    \"\"\"Text: {text}

    You are strict, and judge by the rules alone.

    Rules: {rules}\"\"\"

"""


@frozen
class Case:
    """A pass, a program in which it fires, and what the program shows; `level` is the first that has it."""

    removed: str
    shows: str
    body: str
    level: str = "O2"


CASES = (
    Case(
        "parallelise",
        "ten independent reads in a loop",
        """flow main() -> int:
    pages: list[str] = []
    for i in range(10):
        pages = pages + [fetch(str(i))]
    return len(pages)
""",
    ),
    Case(
        "parallelise",
        "what a loop gathers of sixteen pages on a condition, and writes down",
        """flow main() -> int:
    kept: list[str] = []
    for i in range(16):
        page = fetch(str(i))
        if rank(page) > 0:
            kept = kept + [fetch(page)]
            note(page)
    return len(kept)
""",
    ),
    Case(
        "parallelise",
        "sixteen notes merged by an associative llm",
        """flow main() -> str:
    whole = "notes"
    for i in range(16):
        whole = merge(whole, str(i))
    return whole
""",
    ),
    Case(
        "parallelise",
        "a page that each of ten rounds reads",
        """flow main() -> int:
    found = 0
    for i in range(10):
        found = rank(str(found) + fetch("rules"))
    return found
""",
    ),
    Case(
        "merge-calls",
        "the same page asked for by three branches, one after another",
        """flow main() -> int:
    a = rank(fetch("a"))
    note("one")
    b = rank(fetch("a"))
    note("two")
    c = rank(fetch("a"))
    return a + b + c
""",
    ),
    Case(
        "merge-calls",
        "a page that both answers to a question need, and what follows needs again",
        """flow main() -> int:
    if ask("urgent?") == "yes":
        page = fetch("a")
    else:
        page = lower(fetch("a"))
    return rank(page) + rank(fetch("a"))
""",
    ),
    Case(
        "inline",
        "two helper flows, each with a part that the other need not wait for",
        """flow first(x: str) -> int:
    return rank(fetch(x))

flow second(x: str, before: int) -> int:
    own = rank(fetch(x))
    return own + before

flow main() -> int:
    return second("b", first("a"))
""",
    ),
    Case(
        "cse",
        "a pure call written twice",
        """flow main() -> int:
    return rank("a") + rank("a")
""",
    ),
    Case(
        "dce",
        "a list built for a message that is no longer written",
        """flow main() -> int:
    pages = [fetch(str(i)) for i in range(10)]
    lines = ["page: " + page for page in pages]
    message = join(", ", lines)
    return len(pages)
""",
    ),
    Case(
        "batch-calls",
        "two hundred texts embedded in a comprehension",
        """flow main() -> int:
    texts = [str(i) for i in range(200)]
    return len([sum(embed([t])[0]) for t in texts])
""",
    ),
    Case(
        "share-prefix",
        "a hundred texts judged by the same rules, which the prompt names last",
        f"""flow main() -> int:
    rules = "{RULES}"
    return len([v for v in [judge("text " + str(i), rules) for i in range(100)] if v.fits])
""",
    ),
    Case(
        "prune",
        "a hundred verdicts of which only one field is read",
        """flow main() -> int:
    notes = [fetch("notes")]
    return len([v for v in [judge("text " + str(i), "be brief", notes) for i in range(100)] if v.fits])
""",
    ),
    Case(
        "fuse-calls",
        "an outline, and the text that is written from it",
        f"""flow main() -> str:
    return draft(outline("{RULES}"))
""",
    ),
    Case(
        "stream",
        "pages asked about, two at once, for topics that a model lists",
        """flow main() -> int:
    return len([ask(fetch(topic)) for topic in topics("the sea")])
""",
    ),
    Case(
        "stream",
        "a page about the title of a report that a model writes, and what it makes of the page",
        """flow main() -> int:
    said = report("the sea")
    return len(ask(fetch(said.title))) + len(said.body)
""",
    ),
    Case(
        "stream",
        "each sentence of an essay looked up while a model still writes the others",
        f"""flow main() -> int:
    return len([ask(fetch(each)) for each in sentences(essay("{ESSAY}"))])
""",
    ),
    Case(
        "stream",
        "a plan of four pages, what each is worth, and a note",
        """flow main() -> int:
    return len(execute(arrange("find the sea")))
""",
    ),
    Case(
        "speculate",
        "a question that is answered once it has been checked, and read up on once that was needed",
        """flow main() -> str:
    if len(ask("may this be asked?")) == 0:
        return "no"
    page = fetch("a") if len(ask("is more to be known?")) > 0 else ""
    return ask(page + "the answer")
""",
        level="O3",
    ),
    Case(
        "hedge",
        "a hundred pages, one of which takes three seconds where it is asked for once",
        """flow main() -> int:
    pages = [fetch(str(i)) for i in range(99)]
    return len(fetch("late" if len(pages[0]) > 0 else "none"))
""",
        level="O3",
    ),
    Case(
        "schedule",
        "a model that takes two calls at once: four short questions, then a chain of three",
        """flow main() -> str:
    s = ask("1") + ask("2") + ask("3") + ask("4")
    return s + ask(ask(ask("5")))
""",
    ),
)
