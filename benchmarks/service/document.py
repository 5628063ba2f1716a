"""Put results into a document that people read."""

from pathlib import Path

from benchmarks.service.charts import draw
from benchmarks.service.results import Results
from benchmarks.service.tables import report

BEGIN = "<!-- results: written by python -m benchmarks.service --document -->"
END = "<!-- end of results -->"


def write_into(document: Path, results: Results) -> None:
    """Replace what stands between the marks by tables and charts.

    The charts lie in a folder beside the document that is called like it.

    Raises:
        ValueError: the document lacks one of the marks.
    """
    before, begin, rest = document.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        message = f"{document} must contain the lines {BEGIN} and {END}"
        raise ValueError(message)
    charts = draw(results, document.with_suffix(""))
    shown = [f"![{path.stem}]({path.parent.name}/{path.name})" for path in charts]
    content = "\n\n".join([begin, *shown, report(results), end])
    document.write_text(before + content + after, "utf-8")
