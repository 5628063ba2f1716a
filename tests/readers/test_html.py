import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.readers.html import create
from memapp.readers.html_tokens import Token, tokens


def text_of(page: str) -> str:
    return create().read(page.encode(), name="page.html").text


def test_a_page_becomes_markdown() -> None:
    page = """<!DOCTYPE html>
    <html><head><title> The &amp;  Guide </title><style>p { color: red }</style></head>
    <body><nav><ul><li><a href="/">Home</a></li></ul></nav>
    <h1>Install</h1><p>Run   <b>make</b>
    <i>serve</i>.<br>Then&nbsp;wait.</p>
    <ul><li>one<ul><li>inner</li></ul></li><li>two</ul>
    <pre><code><span>a = 1</span>
    <span>b = "&lt;2"</span>
</code></pre>
    <h2>Prices</h2><table><tr><th>Item</th><th>Price</th></tr><tr><td>Tea</td><td>2</td></tr></table>
    <script>if (1 < 2) { alert("</p>") }</script><p>End</body></html>"""

    read = create().read(page.encode(), name="")

    assert read.title == "The & Guide"
    assert read.format == "markdown"
    assert read.text == (
        "- Home\n\n# Install\n\nRun make serve.\nThen wait.\n\n- one\n  - inner\n- two\n\n"
        '```\na = 1\n    b = "<2"\n```\n\n## Prices\n\nItem | Price\nTea | 2\n\nEnd'
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("just text", "just text"),
        ("a < b and b > c", "a < b and b > c"),
        ("<p>one<p>two", "one\n\ntwo"),
        ("<P CLASS='a>b'>one</P >two", "one\n\ntwo"),
        ('<p title="it\'s">one</p>', "one"),
        ("a<!-- <p>hidden</p> -->b", "ab"),
        ("a<!-- never closed <p>b", "a"),
        ("a<br/>b", "a\nb"),
        ("<p>a</p><template><p>b</p></template><p>c</p>", "a\n\nc"),
        ("<svg><svg>x</svg>y</svg>z", "z"),
        ("<script><p>no</p></script >yes", "yes"),
        ("<script>never closed", ""),
        ("<a href=x never closed", ""),
        ("&lt;b&gt; &#65;&#x42; &nbsp;&unknown; &", "<b> AB &unknown; &"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("<pre></pre>a", "a"),
        ("<pre>a\n  b", "```\na\n  b\n```"),
        ("<table><tr><td>a<td><td>c</table>", "a | c"),
        ("<h2></h2><p>a</p>", "a"),
        ("x<b>y</b>z", "xyz"),
        ("x <b> y </b> z", "x y z"),
        ("", ""),
    ],
)
def test_what_a_browser_shows_is_read(page: str, text: str) -> None:
    assert text_of(page) == text


@given(st.text(st.sampled_from("<>/!-=\"'abpre &;#1\n"), max_size=80))
def test_anything_can_be_read(page: str) -> None:
    assert isinstance(text_of(page), str)


UNFINISHED = ["<", "<a ", "</", "<!", "<!--", "<!-", "<?", "&", "&#", "<a", "<![CDATA[", "<a x='"]
NEVER_CLOSED = ["<div>", "<pre>", "<li>", "<ul>", "<script>", "<title>", "<svg>", "</svg>", "</p>"]


@pytest.mark.parametrize("unit", [*UNFINISHED, *NEVER_CLOSED])
def test_a_page_of_nothing_but_one_piece_is_read_in_linear_time(unit: str) -> None:
    # Quadratic time would take minutes here, and run into the test's time limit.
    assert isinstance(text_of(unit * 150_000), str)


def test_references_are_resolved_in_text_only() -> None:
    assert list(tokens('<a href="&lt;">&lt;</a>')) == [
        Token("start", "a"),
        Token("text", "<"),
        Token("end", "a"),
    ]
