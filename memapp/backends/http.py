"""Reach a Chroma server over HTTP."""

from contextlib import closing
from typing import Any

import httpx
from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.fastapi import FastAPI
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.auth import UserIdentity
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings

from memapp.backends.http_session import HttpSession
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import ConfigurationError, StoreBroken

TOKEN_HEADERS = ("Authorization", "X-Chroma-Token")


def connect(config: ChromaConfig) -> ClientAPI:
    """Connect to the server at `config.host`, with `config.token` if there is one.

    Raises:
        ConfigurationError: host or token cannot be what is meant.
    """
    return HttpChroma(
        tenant=config.tenant or DEFAULT_TENANT,
        database=config.database or DEFAULT_DATABASE,
        settings=IsolatedSettings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=_url_host(config.host),
            chroma_server_http_port=config.port,
            chroma_server_ssl_enabled=config.ssl,
            # Without TLS there is nothing to verify, and reading the certificates of all
            # authorities costs 50 ms for each of Chroma's two sessions.
            chroma_server_ssl_verify=None if config.ssl else False,
            chroma_server_headers=dict(config.headers),
            **_token_settings(config),
        ),
        patience=config.patience,
    )


def try_token(config: ChromaConfig, token: str, *, timeout: float) -> None:
    """Ask the server that `connect` reaches who we are, with another token than memapp's.

    Args:
        config: Where the server is.
        token: What to send in place of `config.token`.
        timeout: Seconds to wait for the answer.

    Raises:
        httpx.HTTPStatusError: the answer is no success.
        httpx.TransportError: there is none.
    """
    url = FastAPI.resolve_url(
        _url_host(config.host), config.ssl, "/api/v2", chroma_server_http_port=config.port
    )
    is_bearer = config.token_header == "Authorization"  # noqa: S105
    headers = httpx.Headers(dict(config.headers))
    headers[config.token_header] = f"Bearer {token}" if is_bearer else token
    with closing(HttpSession(url, headers, config.patience)) as session:
        session.request("get", f"{url}/auth/identity", timeout=timeout).raise_for_status()


class HttpChroma(Client):
    """Chroma's client, patient from its constructor on, and closed without a trace.

    Reaches for Chroma's private `_server`, `_session`, `_admin_client`, `_identifier_to_system`
    and `_validate_tenant_database`; the tests fail if an upgrade moves them.
    """

    def __init__(
        self,
        *,
        tenant: str | None,
        database: str | None,
        settings: Settings,
        patience: Patience,
    ) -> None:
        self._patience = patience
        try:
            super().__init__(tenant=tenant, database=database, settings=settings)
        except BaseException:
            self._let_go()
            raise

    def get_user_identity(self) -> UserIdentity:
        """Ask who we are: the first request of Chroma's constructor."""
        server = self._server
        if not isinstance(server, FastAPI):  # pragma: no cover
            raise TypeError(type(server))
        chromas = server._session  # noqa: SLF001
        ours: Any = HttpSession(server.get_api_url(), chromas.headers, self._patience)
        server._session = ours  # noqa: SLF001
        chromas.close()
        try:
            identity = server.get_user_identity()
        except (KeyError, TypeError) as error:
            message = (
                "what answers is no Chroma server, although it speaks JSON: "
                "check CHROMA_HOST and CHROMA_PORT"
            )
            raise StoreBroken(message) from error
        _check_version(server.get_version())
        return identity

    def _validate_tenant_database(self, tenant: str, database: str) -> None:
        # The parent asks through its admin client, whose session has no timeouts, and turns
        # every fault into a ValueError.
        self._server.get_tenant(name=tenant)
        self._server.get_database(name=database, tenant=tenant)

    def close(self) -> None:
        """Close the sockets too, and forget everything Chroma keeps of this client.

        Chroma's own `close` leaves the connections open and one registry entry behind
        (https://github.com/chroma-core/chroma/issues/4296).
        """
        if self._closed:
            return
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        admin: Any = getattr(self, "_admin_client", None)
        registry = SharedSystemClient._identifier_to_system  # noqa: SLF001
        for server in (getattr(self, "_server", None), getattr(admin, "_server", None)):
            if isinstance(server, FastAPI):
                server._session.close()  # noqa: SLF001
                own = [key for key, system in registry.items() if system is server._system]  # noqa: SLF001
                for key in own:
                    registry.pop(key, None)


def _check_version(version: str) -> None:
    # Chroma 0.6 has the API of version 1, but refuses the collections that memapp makes. All of
    # version 1 say "1.0.0", whatever they are.
    if version.startswith("0."):
        message = (
            f"Chroma {version} is too old: memapp needs a Chroma server of version 1; "
            "upgrade it, or check CHROMA_HOST and CHROMA_PORT"
        )
        raise StoreBroken(message)


def _url_host(host: str) -> str:
    if not host or "/" in host:
        # Given a URL, Chroma's client silently ignores the port.
        fault = f"CHROMA_HOST: {host!r} must be a bare host name or address, without http://"
        raise ConfigurationError(fault)
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _token_settings(config: ChromaConfig) -> dict[str, str]:
    if not config.token:
        return {}
    if not config.token.isascii() or not config.token.isprintable() or " " in config.token:
        fault = (
            "CHROMA_AUTH_TOKEN: must hold only ASCII letters, digits and punctuation; "
            "remove spaces and line ends"
        )
        raise ConfigurationError(fault)
    if config.token_header not in TOKEN_HEADERS:
        fault = f"CHROMA_AUTH_HEADER: must be one of {', '.join(TOKEN_HEADERS)}"
        raise ConfigurationError(fault)
    return {
        "chroma_client_auth_provider": "chromadb.auth.token_authn.TokenAuthClientProvider",
        "chroma_client_auth_credentials": config.token,
        "chroma_auth_token_transport_header": config.token_header,
    }
