"""Read HTML pages: what a browser shows of them, as light Markdown."""

from collections.abc import Sequence

from memapp.readers.decoding import decoded
from memapp.readers.html_tokens import tokens
from memapp.readers.titles import clean_title
from memapp.records import ReadDocument

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = frozenset(
    {
        *_HEADINGS,
        *("address", "article", "aside", "blockquote", "body", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html"),
        *("main", "nav", "ol", "p", "pre", "section", "summary", "table", "ul"),
    }
)
_LINES = frozenset({"br", "li", "tr", "caption", "option"})
_CELLS = frozenset({"td", "th"})
_DEEPEST_INDENT = 6

_SPACE, _LINE, _PARAGRAPH = " ", "\n", "\n\n"


class HtmlReader:
    """Read an HTML page as light Markdown: headings, lists, tables and code keep their form."""

    formats: Sequence[str] = ("html", "htm")
    media_types: Sequence[str] = ("text/html", "application/xhtml+xml")
    suffixes: Sequence[str] = (".html", ".htm", ".xhtml")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        page = _Page()
        for token in tokens(decoded(content)):
            match token.kind:
                case "start":
                    page.start(token.value)
                case "end":
                    page.end(token.value)
                case "text":
                    page.text(token.value)
        return ReadDocument(page.written(), title=clean_title(page.title), format="markdown")


def create() -> HtmlReader:
    """Return the reader."""
    return HtmlReader()


class _Page:
    """The text of a page as far as it has been read."""

    def __init__(self) -> None:
        self.title = ""
        self._parts: list[str] = []
        self._gap = ""
        self._prefix = ""
        self._hidden: list[str] = []
        self._lists = 0
        self._is_title = False
        self._code: list[str] | None = None

    def written(self) -> str:
        """Return the page's text."""
        self._finish_code()
        return "".join(self._parts)

    def start(self, name: str) -> None:
        """Read a start tag."""
        if self._hidden:
            # Only the same element may be nested; an element that is never closed hides no more
            # than it must.
            if name == self._hidden[-1]:
                self._hidden.append(name)
        elif name in _HIDDEN:
            self._hidden.append(name)
        elif name == "title":
            self._is_title = True
        elif self._code is not None:
            self._code += ["\n"] if name == "br" else []
        elif name == "pre":
            self._code = []
        else:
            self._break_before(name)

    def end(self, name: str) -> None:
        """Read an end tag."""
        if self._hidden:
            if name == self._hidden[-1]:
                self._hidden.pop()
        elif name == "title":
            self._is_title = False
        elif name == "pre":
            self._finish_code()
        elif self._code is None:
            self._break_after(name)

    def text(self, text: str) -> None:
        """Read text."""
        if self._hidden:
            return
        if self._is_title:
            self.title = self.title or text.strip()
        elif self._code is not None:
            self._code.append(text)
        else:
            self._write_words(text)

    def _break_before(self, name: str) -> None:
        if name in {"ul", "ol"}:
            self._lists += 1
        if name in _CELLS:
            self._break(" | " if self._gap not in {_LINE, _PARAGRAPH} else self._gap)
        elif name in _LINES:
            self._break(_LINE)
        elif name in _BLOCKS:
            is_inner_list = name in {"ul", "ol"} and self._lists > 1
            self._break(_LINE if is_inner_list else _PARAGRAPH)
        if name == "li":
            self._prefix = "  " * min(max(self._lists - 1, 0), _DEEPEST_INDENT) + "- "
        elif name in _HEADINGS:
            self._prefix = _HEADINGS[name]

    def _break_after(self, name: str) -> None:
        if name in {"ul", "ol"}:
            self._lists = max(0, self._lists - 1)
            self._break(_LINE if self._lists else _PARAGRAPH)
        elif name in _LINES:
            self._break(_LINE)
        elif name in _BLOCKS:
            self._break(_PARAGRAPH)
        if name in {"li", *_HEADINGS}:
            self._prefix = ""

    def _break(self, gap: str) -> None:
        strength = (_SPACE, " | ", _LINE, _PARAGRAPH)
        if not self._gap or strength.index(gap) > strength.index(self._gap):
            self._gap = gap

    def _write_words(self, text: str) -> None:
        words = text.split()
        if not words:
            if text:
                self._break(_SPACE)
            return
        if text[0].isspace():
            self._break(_SPACE)
        self._write(" ".join(words))
        if text[-1].isspace():
            self._break(_SPACE)

    def _finish_code(self) -> None:
        code = "".join(self._code or []).strip("\r\n").rstrip()
        self._code = None
        self._break(_PARAGRAPH)
        if code:
            self._prefix = ""
            self._write(f"```\n{code}\n```")
            self._break(_PARAGRAPH)

    def _write(self, text: str) -> None:
        if self._parts:
            self._parts.append(self._gap)
        self._parts += [self._prefix, text]
        self._gap = self._prefix = ""
