"""Whether Chroma really works for us, and whether anybody else could get in."""

import logging
import threading
import time
from typing import Literal

import requests

from memapp.chroma.extension import Connections
from memapp.chroma_config import ChromaConfig
from memapp.errors import StoreUnavailable

TokenCheck = Literal["enforced", "not_enforced", "not_applicable"]
"""What happens to a wrong token; not applicable where there is no server of ours to ask."""

PROBE_SECONDS = 0.8
REMEMBER_SECONDS = 30.0
"""For how long the outcome of a probe is believed."""

# What nobody's token can be: it must not be right by accident.
_WRONG_TOKEN = "wrong-on-purpose-by-the-health-check-of-memapp"  # noqa: S105
_REFUSED = {401, 403, 407}

_log = logging.getLogger(__name__)


class ChromaHealth:
    """The health of one app's Chroma; safe for many threads."""

    def __init__(
        self, connections: Connections, server: ChromaConfig | None, *, warns: bool = False
    ) -> None:
        """Look at an app's connections.

        Args:
            connections: Those that the app uses.
            server: The server that they reach by http; None for all other modes.
            warns: Whether to warn of a server that lets everybody in although no token is
                configured; with a token, that is always warned of.
        """
        self._connections = connections
        self._server = server
        self._warns = warns
        self._lock = threading.Lock()
        self._believed: TokenCheck = "not_applicable"
        self._believed_until = 0.0

    def latency(self) -> float:
        """Read from every store of the app; return how many seconds the slowest took.

        Raises:
            StoreUnavailable: one cannot be read.
        """
        stores = {id(c): c for c in (self._connections.memories, self._connections.documents)}
        return max(connection.canary() for connection in stores.values())

    def token_check(self) -> TokenCheck:
        """Tell whether a wrong token is refused, as it was at most `REMEMBER_SECONDS` ago.

        Raises:
            StoreUnavailable: the server does not say.
        """
        if self._server is None:
            return "not_applicable"
        with self._lock:
            if time.monotonic() >= self._believed_until:
                before, self._believed = self._believed, _probe(self._server)
                self._believed_until = time.monotonic() + REMEMBER_SECONDS
                is_news = self._believed == "not_enforced" != before
                if is_news and (self._server.token or self._warns):
                    setting = "is set, but" if self._server.token else "is not set, and"
                    _log.warning(_OPEN_DOOR, setting, self._server.host, self._server.port)
            return self._believed


_OPEN_DOOR = (
    "CHROMA_AUTH_TOKEN %s the Chroma server at %s:%s lets wrong tokens in: Chroma 1.x "
    "checks none itself, put a gate in front of it (docker-compose.chromadb.yml has one)"
)


def _probe(server: ChromaConfig) -> TokenCheck:
    scheme = "https" if server.ssl else "http"
    by_bearer = server.token_header == "Authorization"  # noqa: S105
    token = f"Bearer {_WRONG_TOKEN}" if by_bearer else _WRONG_TOKEN
    try:
        response = requests.get(
            f"{scheme}://{server.host}:{server.port}/api/v2/auth/identity",
            headers={**server.headers, server.token_header: token},
            timeout=PROBE_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        message = f"{server.host}:{server.port} does not answer"
        raise StoreUnavailable(message) from error
    return "enforced" if response.status_code in _REFUSED else "not_enforced"
