"""Further rules for settings that are text, each a function from the text to the broken rule."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
# RFC 9110 section 5.6.2, `token`.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# chromadb.auth.token_authn refuses anything but letters, digits and punctuation.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def host(text: str) -> str | None:
    """Accept a host's name or address, without scheme, port or path."""
    if "://" in text:
        return "must be a bare host name; leave the scheme out and set CHROMA_SSL for https"
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        if _HOST.fullmatch(text):
            return None
        return "must be a bare host name or address; put the port into CHROMA_PORT, leave paths out"
    return None


def web_address(text: str) -> str | None:
    """Accept an http or https URL without user, password, query and fragment."""
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\0]", text):
        return "must be a URL beginning with http:// or https://"
    if url.username is not None or url.password is not None:
        return "must not hold a user or password; give the key in its own setting"
    if url.query or url.fragment:
        return "must end with the path, without '?' or '#'"
    return None


def sha256(text: str) -> str | None:
    """Accept a SHA-256 as hex digits."""
    return None if _SHA256.fullmatch(text) else "must be 64 lower-case hex digits"


def headers(table: Mapping[str, object]) -> str | None:
    """Accept a table of HTTP headers."""
    for name, value in table.items():
        if not _HEADER_NAME.fullmatch(name):
            return "must have HTTP header names as its keys, such as X-Team"
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            return (
                f"must have text of printable ASCII, without spaces around it, as the value of "
                f"header {name!r}"
            )
    return None


def token(text: str) -> str | None:
    """Accept what can travel as a token in an HTTP header."""
    if _TOKEN.fullmatch(text):
        return None
    if text.rstrip("\r\n") != text:
        return (
            "must not end in a new line; write the file or variable without it (printf, not echo)"
        )
    return "must be printable ASCII without spaces; make one with 'openssl rand -hex 32'"
