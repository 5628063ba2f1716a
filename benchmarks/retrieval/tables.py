"""Show results in a terminal, as Markdown for the documents, and as a chart."""

from collections.abc import Sequence
from html import escape

from benchmarks.retrieval.results import Ingested, Row

_HEADLINES = ("R@10", "nDCG@10", "recall@5")
_COLOURS = {"words only": "#d1762b", "meaning only": "#8a5ca8", "hybrid": "#2a78b5"}
_FONT = 'font-family="system-ui, sans-serif" font-size="13" fill="#333"'


def markdown(rows: Sequence[Row], ingested: Sequence[Ingested]) -> str:
    """Return all rows as Markdown tables, one for each data set."""
    parts = []
    for data_set in dict.fromkeys(row.data_set for row in rows):
        own = [row for row in rows if row.data_set == data_set]
        names = list(own[0].figures)
        lines = [
            f"### {data_set}",
            "",
            "| ranking | questions | " + " | ".join(names) + " | ms p50 / p95 |",
            "|---|---|" + "---|" * (len(names) + 1),
        ]
        lines += [_line(row, names) for row in own]
        parts.append("\n".join(lines))
    parts.append("\n".join(_speed(one) for one in ingested))
    return "\n\n".join(parts)


def chart(rows: Sequence[Row]) -> str:
    """Return an SVG with a bar for each data set and plain ranking: its first headline figure."""
    shown = [row for row in rows if not row.part and row.ranking in _COLOURS]
    left, row_height, width, top = 250, 20, 760, 30
    height = top + row_height * len(shown) + 20
    parts = [f'<text x="8" y="20" {_FONT}>Found among the first, in percent</text>']
    for index, row in enumerate(shown):
        figure = next(name for name in _HEADLINES if name in row.figures)
        value = row.figures[figure]
        y = top + row_height * index
        bar = (width - left - 60) * value / 100
        label = escape(f"{row.data_set} {figure}: {row.ranking}")
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" {_FONT}>{label}</text>',
            f'<rect x="{left}" y="{y + 2}" width="{bar:.1f}" height="{row_height - 4}" '
            f'fill="{_COLOURS[row.ranking]}"/>',
            f'<text x="{left + bar + 6:.1f}" y="{y + 14}" {_FONT}>{value:.1f}</text>',
        ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _line(row: Row, names: Sequence[str]) -> str:
    name = f"{row.ranking}: {row.part}" if row.part else row.ranking
    figures = " | ".join(f"{row.figures[one]:.1f}" for one in names)
    middle, high = row.milliseconds
    return f"| {name} | {row.queries} | {figures} | {middle:.1f} / {high:.1f} |"


def _speed(ingested: Ingested) -> str:
    per_second = ingested.items / ingested.seconds
    return (
        f"{ingested.data_set}: stored {ingested.items} in {ingested.seconds:.1f} s "
        f"({per_second:.0f} a second)"
    )
