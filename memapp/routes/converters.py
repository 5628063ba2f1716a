"""Variable parts of paths that Werkzeug has no converter for."""

from flask import Flask
from werkzeug.routing import PathConverter


class AnythingConverter(PathConverter):
    """Any text: a document's id may look like a path or a URL, encoded (`%2F`) or not."""

    regex = ".+?"
    part_isolating = False


def init_app(app: Flask) -> None:
    """Let routes of the app say `<anything:name>`."""
    app.url_map.converters["anything"] = AnythingConverter
    # A doubled slash may be part of an id, which a redirect would change.
    app.url_map.merge_slashes = False
