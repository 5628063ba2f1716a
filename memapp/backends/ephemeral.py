"""Keep Chroma in the memory of this process: everything is gone when it ends."""

import uuid

from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT

from memapp.backends.embedded_engine import claim_engine
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma_config import ChromaConfig


def connect(config: ChromaConfig) -> ClientAPI:
    """Open an empty store.

    Each has a database of its own: all in-memory clients of a process share one store.
    """
    claim_engine()
    client = Client(tenant=DEFAULT_TENANT, database=DEFAULT_DATABASE, settings=IsolatedSettings())
    name = f"memapp-{uuid.uuid4().hex}"
    client._admin_client.create_database(name)  # noqa: SLF001
    client.set_database(name)
    return client
