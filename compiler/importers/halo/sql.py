"""SQL of a query: its text without what one driver asks for, and the parameters that it names."""

import re

_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?P<cast>::)|(?<![:\w]):(?P<name>[^\W\d]\w*)",
    re.DOTALL,
)
_WORD = re.compile(r"(?:'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|/\*.*?\*/|[^\s])+", re.DOTALL)
_CLAUSES = frozenset(
    [
        "FROM",
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "UNION",
        "LEFT",
        "RIGHT",
        "INNER",
        "JOIN",
        "SET",
        "VALUES",
    ]
)
_BEFORE_JOIN = ("LEFT", "RIGHT", "INNER", "OUTER")
_TYPES = {
    "str": ("text", "str", "string", "varchar", "char", "date", "timestamp", "uuid"),
    "int": ("int", "integer", "bigint", "smallint", "int4", "int8"),
    "float": ("numeric", "float", "decimal", "real", "double", "number", "float8"),
    "bool": ("bool", "boolean"),
}
_WRITES = re.compile(
    r"\b(?:insert|into|update|delete|merge|create|drop|alter|truncate|grant|nextval|setval)\b", re.IGNORECASE
)
_READS = re.compile(r"[\s(]*(?:select|with|values|table|show|explain)\b", re.IGNORECASE)


def statement(sql: str) -> str:
    """One line of SQL with `:name` for parameters: equal statements are equal texts.

    Where all percent signs are doubled, as drivers of the pyformat style want them, they are single again.

    >>> statement("SELECT 1\\n  WHERE a ILIKE '%%' || :k;")
    "SELECT 1 WHERE a ILIKE '%' || :k"
    """
    if "%" in sql and "%" not in sql.replace("%%", ""):
        sql = sql.replace("%%", "%")
    spaced: list[str] = []
    place = 0
    for match in _TOKEN.finditer(sql):
        spaced += [re.sub(r"\s+", " ", sql[place : match.start()]), _token(match[0])]
        place = match.end()
    spaced.append(re.sub(r"\s+", " ", sql[place:]))
    return "".join(spaced).strip().rstrip("; ")


def _token(text: str) -> str:
    """A comment to the line's end would swallow the rest of a single line."""
    return f"/*{text[2:].replace('*/', '* /')} */" if text.startswith("--") else text


def laid_out(sql: str, width: int = 100) -> str:
    """A statement with a line for each clause; no text of it is broken.

    >>> print(laid_out("SELECT extract(year FROM d) FROM t WHERE a = 'b  c'"))
    SELECT extract(year FROM d)
    FROM t
    WHERE a = 'b  c'
    """
    lines = [""]
    depth = 0
    for match in _WORD.finditer(sql):
        word = match[0]
        clause = depth == 0 and word.upper() in _CLAUSES and not lines[-1].upper().endswith(_BEFORE_JOIN)
        if lines[-1] and (clause or len(lines[-1]) + 1 + len(word) > width):
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
        bare = _TOKEN.sub("", word)
        depth += bare.count("(") - bare.count(")")
    return "\n".join(lines)


def parameters(sql: str) -> tuple[str, ...]:
    """The names after a colon, each once, in order; casts (`::int`), texts and comments are none.

    >>> parameters("SELECT :year::int, ':no', a::date -- :neither")
    ('year',)
    """
    return tuple(dict.fromkeys(match["name"] for match in _TOKEN.finditer(sql) if match["name"]))


def bound(sql: str, mark: str = "$") -> str:
    """The statement with another mark before its parameters: DuckDB binds `$name`.

    >>> bound("SELECT :year::int")
    'SELECT $year::int'
    """
    return _TOKEN.sub(lambda match: mark + match["name"] if match["name"] else match[0], sql)


def type_of(declared: str) -> str | None:
    """The type of a declared parameter type; None for one that is not known."""
    bare = re.sub(r"\(.*", "", declared).strip()
    return next((name for name, words in _TYPES.items() if bare in words), None)


def writes(sql: str) -> bool:
    """Whether a statement may change something: it is taken to, unless it reads and no word of it writes."""
    words = _TOKEN.sub(" ", sql)
    return _READS.match(words) is None or _WRITES.search(words) is not None
