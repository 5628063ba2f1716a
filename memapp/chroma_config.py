"""How to reach Chroma and how long to wait for it: plain values, shared by all rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """How long Chroma is waited for; all times in seconds.

    A dead or frozen server must be noticed within two seconds, a slow one waited for. So a call
    first waits `probe_timeout`; after that it goes on waiting, up to `read_timeout`, only while
    the server's heartbeat answers within `heartbeat_timeout`.

    Attributes:
        connect_timeout: To look up the host, connect and shake hands.
        probe_timeout: Until the server must have answered, or give a sign of life.
        heartbeat_timeout: For that sign of life; `probe_timeout`, where that is shorter.
        read_timeout: Until a living server must have answered.
        retries: How often a call is repeated that failed at once, for instance because the
            connection broke; 0 never repeats.
        backoff: Longest pause before the first repetition; doubles with each.
    """

    connect_timeout: float = 1.0
    probe_timeout: float = 1.0
    heartbeat_timeout: float = 0.6
    read_timeout: float = 30.0
    retries: int = 2
    backoff: float = 0.05


@dataclass(frozen=True, slots=True)
class ChromaConfig:
    """Where Chroma is; each backend reads the part that concerns it.

    Attributes:
        path: Folder of the store (persistent).
        host: Bare host name or address of the server (http).
        port: Its port (http).
        ssl: Whether to speak TLS (http).
        token: Sent with every request, if given (http).
        token_header: `Authorization` or `X-Chroma-Token`: how the token is sent (http).
        headers: Further headers to send with every request (http).
        tenant: Chroma's own tenant; empty means its default (http), or the key's (cloud).
        database: Chroma's own database; empty as for `tenant`.
        api_key: Key of Chroma Cloud (cloud).
        cloud_host: Host of Chroma Cloud (cloud).
        patience: How long to wait.
    """

    path: str = ""
    host: str = "localhost"
    port: int = 8000
    ssl: bool = False
    token: str = field(default="", repr=False)
    token_header: str = "Authorization"  # noqa: S105
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tenant: str = ""
    database: str = ""
    api_key: str = field(default="", repr=False)
    cloud_host: str = "api.trychroma.com"
    patience: Patience = field(default_factory=Patience)
