"""Reach Chroma Cloud, the managed distributed engine."""

from chromadb.api import ClientAPI

from memapp.backends.http import HttpChroma
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma_config import ChromaConfig
from memapp.errors import ConfigurationError


def connect(config: ChromaConfig) -> ClientAPI:
    """Connect to `config.cloud_host` with `config.api_key`.

    An empty tenant or database is taken from the key.

    Raises:
        ConfigurationError: there is no key.
    """
    if not config.api_key:
        fault = "CHROMA_API_KEY: is required with CHROMA_MODE=cloud"
        raise ConfigurationError(fault)
    return HttpChroma(
        tenant=config.tenant or None,
        database=config.database or None,
        settings=IsolatedSettings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=config.cloud_host,
            chroma_server_http_port=443,
            chroma_server_ssl_enabled=True,
            chroma_client_auth_provider="chromadb.auth.token_authn.TokenAuthClientProvider",
            chroma_client_auth_credentials=config.api_key,
            chroma_auth_token_transport_header="X-Chroma-Token",  # noqa: S106
            chroma_overwrite_singleton_tenant_database_access_from_auth=True,
        ),
        patience=config.patience,
    )
