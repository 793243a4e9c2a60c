"""Programs that are broken off everywhere: of each way to call, to choose, to repeat and to wait one."""

from collections.abc import Mapping

from attrs import field, frozen


@frozen(eq=False)
class Program:
    """A program with a flow `main`. `asks` and `tokens` bound what all its processes together may ask and
    spend, `answers` are what people say; the end of a `loose` one may be another where it was broken off.
    """

    name: str
    text: str
    arguments: Mapping[str, object] = field(factory=lambda: {"n": 4})
    answers: Mapping[str, object] = field(factory=dict)
    level: int = 2
    asks: int | None = None
    tokens: int | None = None
    loose: bool = False

    def __str__(self) -> str:
        return self.name


PROGRAMS = (
    Program("chain", """
flow main(n: int) -> int:
    x = work(n)
    y = put(x)
    z = put(y)
    a = look(z)
    return a + work(y)
"""),
    Program("map of writes", """
flow main(n: int) -> list[int]:
    xs = [drip(work(i)) for i in range(n)]
    return [look(x) for x in xs if x > 20]
"""),
    Program("nested", """
flow row(i: int, n: int) -> list[int]:
    return [put(i * n + j) for j in range(n)]

flow main(n: int) -> int:
    t = 0
    for i in range(3):
        ys = [sum(row(j, 2)) for j in range(i + 1)]
        t = t + sum(ys) + shelve(t)
        mark(t)
    return t
"""),
    Program("while", """
flow main(n: int) -> int:
    t = n
    while look(t) < 60 up to 9:
        t = t + put(t) % 17 + 1
        if t > 1000:
            break
    return t
"""),
    Program("calls of models", """
flow main(n: int) -> list[str]:
    return [say(i) for i in range(n)]
"""),
    Program("retries of models", """
flow main(n: int) -> int:
    xs = [guess(i) for i in range(n)]
    return sum(xs) + guess(17) + put(guess(19))
"""),
    Program("tools tried again", """
flow main(n: int) -> int:
    a = flaky(n + 1)
    b = flaky(2)
    return put(a + b + ponder(n))
"""),
    Program("race", """
flow main(n: int) -> int:
    a = race(slow(n), slow(n + 1))
    b = race(shaky(3), look(n))
    return put(a + b)
"""),
    Program("vote", """
flow main(n: int) -> int:
    a = vote(guess(n), max=5, lead=2)
    return put(a + vote(guess(n + 1), max=3, lead=3))
"""),
    Program("otherwise", """
flow main(n: int) -> int:
    a = try shaky(3) else put(n)
    b = try broken(2) else put(n + 1)
    try:
        c = put(a)
        d = shaky(put(c))
        a = a + d
    else:
        a = a + put(b)
    return a + b
"""),
    Program("failure", """
flow main(n: int) -> int:
    xs = [put(i) for i in range(n)]
    return shaky(sum(xs) * 3)
"""),
    Program("limits", """
@timeout(10s)
flow inner(n: int) -> int:
    t = 0
    for i in range(n):
        t = t + look(i) + slow(i)
    return t

@retry(2, backoff=100ms)
flow again(n: int) -> int:
    return shaky(flaky(1) * 3) + n

flow main(n: int) -> int:
    a = try again(n) else 5
    with timeout(1h), budget(calls=50):
        b = put(inner(n))
    return a + b
"""),
    Program("computed beside", """
@timeout(1h)
flow main(n: int) -> int:
    try:
        with retry(1):
            with timeout(1h):
                _x = f64([0.0, 1.0]) * 2.0
            a = shaky(3)
    else:
        a = 0
    return n + a
"""),
    Program("timeout", """
@timeout(100ms)
flow hasty(n: int) -> int:
    a = put(n + 100)
    for i in range(9):
        a = slow(a)
    return put(a)

flow main(n: int) -> int:
    a = try hasty(n) else put(n)
    return put(a)
"""),
    Program("budget of calls", """
@budget(calls=6)
flow inner(n: int) -> int:
    t = 0
    for i in range(n):
        t = t + put(i)
    return t

flow main(n: int) -> int:
    return try inner(n) else inner(3)
""", {"n": 8}, loose=True),
    Program("budget of tokens", """
@budget(tokens=9000)
flow main(n: int) -> int:
    t = 0
    for i in range(n):
        t = t + guess(i)
    xs = [guess(i + 10) for i in range(n)]
    return t + sum(xs) + put(t)
""", tokens=9000, loose=True),
    Program("budget that ends", """
@budget(calls=7)
flow main(n: int) -> int:
    t = put(n)
    for i in range(30):
        t = t + guess(2 * (t + i))
    return put(t)
""", asks=7, loose=True),
    Program("budget of long answers", """
@budget(tokens=4000)
flow main(n: int) -> int:
    t = put(n)
    for i in range(30):
        t = t + len(tell(t + i))
    return put(t)
""", tokens=4000, loose=True),
    Program("flows in flows", """
flow leaf(i: int) -> int:
    return put(work(i))

flow middle(i: int) -> int:
    a = leaf(i)
    return leaf(a) + look(a)

flow main(n: int) -> list[int]:
    return [middle(i) + middle(i + 50) for i in range(n)]
""", {"n": 3}),
    Program("plans", """
flow main(n: int) -> int:
    p = arrange(n)
    xs = execute(p)
    return put(len(xs))
"""),
    Program("embeddings", """
flow main(n: int) -> float:
    v = embed([say(i) for i in range(n)])
    return f64(v[1][1]) + f64(put(n))
"""),
    Program("batch of calls", """
flow main(n: int) -> list[str]:
    xs = [say(i) + "!" for i in range(n)]
    mark(len(xs))
    return [say(len(x)) if len(x) > 3 else x for x in xs]
""", {"n": 6}),
    Program("people", """
flow main(n: int) -> int:
    a = put(n)
    if approve(a):
        b = put(a)
        return b + arrived(b)
    return 0
""", answers={"approve": True, "arrived": 12}),
    Program("people side by side", """
flow main(n: int) -> int:
    xs = [arrived(i) + put(i) for i in range(n)]
    return sum(xs)
""", answers={"arrived": 12}),
    Program("speculation", """
flow main(n: int) -> str:
    a = guess(n)
    if look(a) > 1:
        return say(n) + str(put(a))
    return say(n + 1) + str(put(a + 1))
""", level=3),
    Program("values", """
flow main(n: int) -> int:
    a = item(n)
    b = data(n)
    c = many(n)
    d = table(n)
    r = rows(n)
    t = total(unit(r))
    best = topk(r[0], 2)
    mark(int(t) + int(best.indices[0]) + len(b) + len(c))
    pairs = [x.size + y for x, y in zip(c, [put(i) for i in range(n)])]
    return a.size + len(c[1].name) + int(d["$"] * 10) + sum(pairs)
"""),
    Program("transaction", """
flow order(n: int) -> int:
    with transaction:
        a = send(n)
        b = send(a)
        c = shaky(b * 3)
        return c

flow main(n: int) -> int:
    a = try order(n) else put(n)
    with transaction:
        b = send(a)
    return a + b
"""),
    Program("sleep", """
flow main(n: int) -> int:
    a = put(n)
    sleep(1h)
    b = put(a)
    sleep(500ms)
    return put(b)
"""),
    Program("sleep beside work", """
flow nap(i: int) -> int:
    sleep(30s)
    return i

flow main(n: int) -> list[int]:
    with timeout(2h):
        xs = [nap(i) for i in range(n)]
        ys = [slow(i) for i in range(n)]
    return [x + put(y) for x, y in zip(xs, ys)]
"""),
)  # fmt: skip
