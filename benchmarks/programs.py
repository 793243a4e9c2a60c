"""Generated programs: chains, fan-outs and diamond grids of trivial tools, as .flow text."""

TOOL = "tool work(i: int) -> int pure\ntool add(a: int, b: int) -> int pure\n\n"


def chain(nodes: int) -> str:
    """`nodes` calls, each of the one before."""
    return _flow(["x0 = work(0)", *(f"x{i} = work(x{i - 1})" for i in range(1, nodes))], f"x{nodes - 1}")


def fan_out(nodes: int) -> str:
    """`nodes` independent calls and the sum of their results."""
    items = ",\n        ".join(f"x{i}" for i in range(nodes))
    return _flow([f"x{i} = work({i})" for i in range(nodes)], f"sum([\n        {items},\n    ])")


def fan_out_map(nodes: int) -> str:
    """The same as a comprehension."""
    return _flow([f"xs = [work(i) for i in range({nodes})]"], "sum(xs)")


def grid(side: int) -> str:
    """A diamond grid: each node adds its upper and left neighbours."""
    lines = []
    for row in range(side):
        for column in range(side):
            up = f"g{row - 1}_{column}" if row else "1"
            left = f"g{row}_{column - 1}" if column else "1"
            lines.append(f"g{row}_{column} = add({up}, {left})")
    return _flow(lines, f"g{side - 1}_{side - 1}")


def _flow(lines: list[str], result: str) -> str:
    body = "\n    ".join(lines)
    return f"{TOOL}flow main() -> int:\n    {body}\n    return {result}\n"


def work(i: int) -> int:
    """The tool: as little as a node can do."""
    return i + 1


def add(a: int, b: int) -> int:
    """Keeps the numbers of the grid small."""
    return (a + b) % 1_000_003
