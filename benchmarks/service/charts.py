"""Results as charts: ratios as bars, growth as lines; plain SVG, no library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks.service.operations import OPERATIONS
from benchmarks.service.results import Results, Spread, Turn, ratio

_COLOURS = {
    "memapp": "#2a78b5",
    "client": "#d1762b",
    "where": "#8a5ca8",
    "mem0": "#4b9a57",
    "rest": "#b0475c",
    "script": "#7a7a7a",
}
_FONT = 'font-family="system-ui, sans-serif" font-size="13"'
_INK = "#333"
_WIDTH = 820


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the charts for which there are results into `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    charts = {
        "ratios.svg": ratio_bars(results),
        "clients.svg": clients_lines(results),
        "growth.svg": growth_lines(results),
    }
    written = []
    for name, chart in charts.items():
        if chart:
            (folder / name).write_text(chart, "utf-8")
            written.append(folder / name)
    return written


def ratio_bars(results: Results) -> str:
    """Return bars of memapp's rate by that of others, on a logarithmic axis; empty for none."""
    bars = []
    for operation in OPERATIONS:
        clients = 8 if 8 in operation.clients else operation.clients[0]
        ours = results.of(operation.name, clients, "memapp")
        for other in _COLOURS:
            value = ratio(ours, results.of(operation.name, clients, other))
            if other != "memapp" and value is not None:
                bars.append((f"{operation.name} c{clients}", other, value))
    if not bars:
        return ""
    top, row, left = 60, 20, 170
    largest = max(10.0, *(bar.greatest for _, _, bar in bars))
    least = min(0.5, *(bar.least for _, _, bar in bars))
    scale = (_WIDTH - left - 60) / math.log10(largest / least)

    def x(value: float) -> float:
        return left + scale * math.log10(value / least)

    height = top + row * len(bars) + 20
    parts = [_text(12, 22, "memapp's requests per second, divided by those of ...", size=15)]
    parts += _legend(list(dict.fromkeys(other for _, other, _ in bars)), 12, 44)
    for power in range(math.ceil(math.log10(least)), math.floor(math.log10(largest)) + 1):
        parts.append(_line(x(10.0**power), top, x(10.0**power), height - 20, "#ddd"))
        parts.append(_text(x(10.0**power) - 8, height - 4, f"{10.0**power:g}x"))
    parts.append(_line(x(1), top, x(1), height - 20, _INK))
    seen = ""
    for index, (label, other, value) in enumerate(bars):
        y = top + row * index
        if label != seen:
            parts.append(_text(12, y + 14, label))
            seen = label
        start, end = sorted((x(1), x(value.median)))
        parts.append(
            f'<rect x="{start:.1f}" y="{y + 3}" width="{max(end - start, 1):.1f}" height="13" '
            f'fill="{_COLOURS[other]}"><title>{escape(label)} / {other}</title></rect>'
        )
        parts.append(_line(x(value.least), y + 9.5, x(value.greatest), y + 9.5, _INK))
        shown = f"{value.median:.1f}" if value.median < 10 else f"{value.median:.0f}"
        parts.append(_text(x(max(value.greatest, 1)) + 5, y + 14, shown))
    return _svg(height, parts)


def clients_lines(results: Results) -> str:
    """Return lines of requests a second by clients, for searches with vectors at hand."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name in _COLOURS:
        for clients in (1, 8, 32):
            turns = results.of("search", clients, name)
            if turns:
                rate = Spread.of(turn.rate for turn in turns).median
                lines.setdefault(name, []).append((clients, rate))
    return _chart("search, vectors cached: requests per second by clients", lines)


def growth_lines(results: Results) -> str:
    """Return lines of the median time of a search by memories."""
    groups: dict[tuple[str, int], list[Turn]] = {}
    for turn in results.turns:
        if turn.operation == "growth" and turn.clients == 1:
            groups.setdefault((turn.contestant, _memories(turn)), []).append(turn)
    lines: dict[str, list[tuple[float, float]]] = {}
    for (name, memories), turns in sorted(groups.items()):
        lines.setdefault(name, []).append((memories, Spread.of(turn.p50 for turn in turns).median))
    return _chart("search, one client: median milliseconds by memories", lines)


def _chart(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return lines over two logarithmic axes; empty if no line has two points."""
    points = [point for line in lines.values() for point in line]
    if not any(len(line) > 1 for line in lines.values()):
        return ""
    left, top, height = 70, 60, 380
    least_x, largest_x = min(x for x, _ in points), max(x for x, _ in points)
    least_y, largest_y = min(y for _, y in points) / 1.2, max(y for _, y in points) * 1.2

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = math.log(point[0] / least_x) / math.log(largest_x / least_x)
        up = math.log(point[1] / least_y) / math.log(largest_y / least_y)
        return left + across * (_WIDTH - left - 40), height - 40 - up * (height - 40 - top)

    parts = [_text(12, 22, title, size=15), *_legend(list(lines), 12, 44)]
    for value in sorted({x for x, _ in points}):
        x, _ = place((value, least_y))
        parts.append(_line(x, top, x, height - 40, "#eee"))
        parts.append(_text(x - 12, height - 20, f"{value:,.0f}"))
    for value in _marks(least_y, largest_y):
        _, y = place((least_x, value))
        parts.append(_line(left, y, _WIDTH - 40, y, "#eee"))
        parts.append(_text(8, y + 4, f"{value:,g}"))
    for name, line in lines.items():
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line))
        colour = _COLOURS[name]
        parts.append(
            f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
            for x, y in map(place, line)
        ]
    return _svg(height, parts)


def _marks(least: float, largest: float) -> list[float]:
    """Return round numbers between two others: 1, 2 and 5 times powers of ten."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(largest)) + 1)
    marks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [mark for mark in marks if least <= mark <= largest]


def _memories(turn: Turn) -> int:
    count = turn.population.partition("/")[0]
    return int(count[:-1]) * 1000 if count.endswith("k") else int(count)


def _legend(names: Sequence[str], x: float, y: float) -> list[str]:
    parts = []
    for index, name in enumerate(names):
        start = x + 110 * index
        parts.append(
            f'<rect x="{start}" y="{y - 11}" width="12" height="12" fill="{_COLOURS[name]}"/>'
        )
        parts.append(_text(start + 18, y, name))
    return parts


def _text(x: float, y: float, content: str, *, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{_INK}">{escape(content)}</text>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'


def _svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" {_FONT}>'
    background = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="white"/>'
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"
