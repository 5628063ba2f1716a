"""Variable parts of paths that Werkzeug has no converter for."""

import re

from flask import Flask
from werkzeug.routing import BaseConverter, Map, PathConverter


class AnythingConverter(PathConverter):
    """Any text: a document's id may look like a path or a URL, encoded (`%2F`) or not."""

    regex = ".+?"
    part_isolating = False


class OtherThanConverter(BaseConverter):
    """A part of a path that is none of some words, which are paths of their own."""

    def __init__(self, url_map: Map, *words: str) -> None:
        """Leave these words to other routes, whatever method is asked for."""
        super().__init__(url_map)
        self.regex = rf"(?!(?:{'|'.join(map(re.escape, words))})\Z)[^/]+"


def init_app(app: Flask) -> None:
    """Let routes of the app say `<anything:name>` and `<other_than(word, word):name>`."""
    app.url_map.converters |= {"anything": AnythingConverter, "other_than": OtherThanConverter}
    # A doubled slash may be part of an id, which a redirect would change.
    app.url_map.merge_slashes = False
