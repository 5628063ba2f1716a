"""Whether Chroma really works for us, and whether anybody else could get in."""

import logging
import threading
import time
from typing import Literal, Protocol

import httpx

from memapp.chroma.extension import Connections
from memapp.chroma.faults import Fault, fault_of
from memapp.chroma_config import ChromaConfig
from memapp.errors import StoreRefused

TokenCheck = Literal["enforced", "not_enforced", "not_applicable"]
"""What happens to a wrong token; not applicable where there is no server of ours to ask."""

PROBE_SECONDS = 0.8
REMEMBER_SECONDS = 30.0
"""For how long the outcome of a probe is believed."""

# What nobody's token can be: it must not be right by accident.
_WRONG_TOKEN = "wrong-on-purpose-by-the-health-check-of-memapp"  # noqa: S105

_log = logging.getLogger(__name__)


class TryToken(Protocol):
    """What asks the server with a token, in the way in which memapp reaches it."""

    def __call__(self, config: ChromaConfig, token: str, *, timeout: float) -> None:
        """Return if the server lets the token in, within `timeout` seconds.

        Raises:
            httpx.HTTPStatusError: it answers otherwise.
            httpx.TransportError: it does not answer.
        """


class ChromaHealth:
    """The health of one app's Chroma; safe for many threads."""

    def __init__(
        self,
        connections: Connections,
        server: ChromaConfig | None,
        try_token: TryToken,
        *,
        warns: bool = False,
    ) -> None:
        """Look at an app's connections.

        Args:
            connections: Those that the app uses.
            server: The server that they reach by http; None for all other modes.
            try_token: Asks that server.
            warns: Whether to warn of a server that lets everybody in although no token is
                configured; with a token, that is always warned of.
        """
        self._connections = connections
        self._server = server
        self._try_token = try_token
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
                before, self._believed = self._believed, self._probe(self._server)
                self._believed_until = time.monotonic() + REMEMBER_SECONDS
                is_news = self._believed == "not_enforced" != before
                if is_news and (self._server.token or self._warns):
                    setting = "is set, but" if self._server.token else "is not set, and"
                    _log.warning(_OPEN_DOOR, setting, self._server.host, self._server.port)
            return self._believed

    def _probe(self, server: ChromaConfig) -> TokenCheck:
        try:
            self._try_token(server, _WRONG_TOKEN, timeout=PROBE_SECONDS)
        except httpx.HTTPError as error:
            match fault_of(error):
                case Fault(StoreRefused()):
                    return "enforced"
                case Fault(fault):
                    raise fault from error
            raise
        return "not_enforced"


_OPEN_DOOR = (
    "CHROMA_AUTH_TOKEN %s the Chroma server at %s:%s lets wrong tokens in: Chroma 1.x "
    "checks none itself, put a gate in front of it (docker-compose.chromadb.yml has one)"
)
