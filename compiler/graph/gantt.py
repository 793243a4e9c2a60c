"""A schedule as a picture: a row for each worker, a bar for each task, as SVG without a script."""

import colorsys
import math
from collections.abc import Iterator, Mapping
from html import escape

from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.schedule import Placement, Schedule
from flowc.runtime.visible import visible

WIDTH = 1200
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 64, 34
MOST_ROWS = 512
"""Workers that are drawn; of more the first."""
MOST_NAMED = 12
"""Categories that have a colour and a name of their own; the others are grey."""
_GREY, _LOST = "#b8bcc4", "#d62728"
_SMALL = 'font-size="11" fill="#555"'
_FONT = 'font-family="system-ui, sans-serif"'
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_HUES = (0.58, 0.08, 0.33, 0.78, 0.15, 0.47, 0.92, 0.66, 0.25, 0.84, 0.53, 0.03)


def gantt(schedule: Schedule, graph: TaskGraph, cluster: Cluster, title: str, bound: float) -> str:
    """The picture. A dashed line stands at the lower bound; what was lost is red. Bars tell their task."""
    rows = min(len(cluster.workers), MOST_ROWS)
    height = max(3, min(24, 720 // rows))
    low = TOP + rows * height
    span = max(schedule.makespan, bound) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / span
    colours = _colours(graph)
    legend = _legend(colours, graph, low + BOTTOM)
    whole = low + BOTTOM + 20 * len(legend) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" '
        f'height="{whole}" {_FONT}>',
        f'<rect width="{WIDTH}" height="{whole}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="600">{_shown(title)}</text>',
        f'<text x="{LEFT}" y="44" font-size="12" fill="#555">{_subtitle(schedule, cluster, bound)}</text>',
        *_axis(span, scale, low),
        *_workers(rows, height),
    ]
    drawn = [placed for placed in schedule.placements if placed.worker < rows]
    parts += [_bar(placed, graph, colours, scale, height) for placed in drawn]
    x = LEFT + bound * scale
    parts.append(
        f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{low}" stroke="#222" stroke-dasharray="4 3"/>'
    )
    return "\n".join([*parts, *legend, "</svg>"]) + "\n"


def _subtitle(schedule: Schedule, cluster: Cluster, bound: float) -> str:
    text = f"makespan {seconds_text(schedule.makespan)}, lower bound {seconds_text(bound)} (dashed)"
    if schedule.lost:
        text += f", {schedule.lost} lost to failures (red)"
    if len(cluster.workers) > MOST_ROWS:
        text += f"; the first {MOST_ROWS} of {len(cluster.workers):,} workers"
    return text


def seconds_text(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    unit, name = next((unit, name) for unit, name in _UNITS if seconds >= 2 * unit or unit == 1)
    return f"{seconds / unit:,.2f} {name}" if seconds >= 100 else f"{seconds:.3g} s"


def _shown(text: str) -> str:
    """Text of a file between tags; what XML has no character for stands as its number."""
    return escape(visible(text))


def _colours(graph: TaskGraph) -> dict[str, str]:
    """A colour for each of the categories that take most of the time."""
    time: dict[str, float] = {}
    for task in graph.tasks:
        time[task.traits.category] = time.get(task.traits.category, 0.0) + task.seconds
    names = sorted(time, key=lambda name: -time[name])[:MOST_NAMED]
    return {name: _colour(hue) for name, hue in zip(names, _HUES, strict=False)}


def _colour(hue: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(hue, 0.62, 0.55)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _axis(span: float, scale: float, low: int) -> Iterator[str]:
    """Lines at round times, five to ten of them."""
    unit, name = next((unit, name) for unit, name in _UNITS if span >= 2 * unit or unit == 1)
    step = _round(span / unit / 5) * unit
    for number in range(int(span / step) + 1):
        x = LEFT + number * step * scale
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{low}" stroke="#e4e6ea"/>'
        label = f"{number * step / unit:.6g} {name}" if number else "0"
        yield f'<text x="{x:.1f}" y="{low + 16}" {_SMALL} text-anchor="middle">{label}</text>'


def _round(most: float) -> float:
    """The greatest of 1, 2, 5, 10, ... and their tenths, hundredths, ... that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max((power * factor for factor in (1, 2, 5) if power * factor <= most), default=power)


def _workers(rows: int, height: int) -> Iterator[str]:
    """The numbers of the workers, as many as there is room for."""
    every = max(1, -(-14 // height))
    for row in range(0, rows, every):
        y = TOP + row * height + height / 2 + 4
        yield f'<text x="{LEFT - 8}" y="{y:.1f}" {_SMALL} text-anchor="end">{row}</text>'


def _bar(placed: Placement, graph: TaskGraph, colours: Mapping[str, str], scale: float, height: int) -> str:
    task = graph.tasks[placed.task]
    colour = _LOST if placed.lost else colours.get(task.traits.category, _GREY)
    x, y = LEFT + placed.start * scale, TOP + placed.worker * height
    width = max((placed.end - placed.start) * scale, 0.4)
    told = f"{task.name}: {seconds_text(placed.start)} to {seconds_text(placed.end)}"
    outline = ' stroke="white" stroke-width="0.5"' if width > 3 and height > 6 else ""
    return (
        f'<rect x="{x:.2f}" y="{y + 0.5}" width="{width:.2f}" height="{height - 1}" fill="{colour}"{outline}>'
        f"<title>{_shown(told + (', lost' if placed.lost else ''))}</title></rect>"
    )


def _legend(colours: Mapping[str, str], graph: TaskGraph, top: int) -> list[str]:
    """The names of the categories under the picture, a line for each row of them."""
    named = list(colours.items())
    if any(task.traits.category not in colours for task in graph.tasks):
        named.append(("others", _GREY))
    lines: list[str] = []
    parts: list[str] = []
    x, row = LEFT, 0
    for name, colour in named:
        text = visible(name)
        text = text if len(text) <= 40 else text[:39] + "…"
        width = 32 + 8 * len(text)
        if x + width > WIDTH - RIGHT and parts:
            lines.append("".join(parts))
            x, row, parts = LEFT, row + 1, []
        y = top + 20 * row
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="{y + 10}" font-size="12">{escape(text)}</text>')
        x += width
    return [*lines, "".join(parts)] if parts else lines
