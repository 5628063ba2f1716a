"""Find a tenant's collections of memories: its ledger and its shards."""

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.identity import check_identity, identity_metadata
from memapp.records import EmbedderIdentity


class MemoryShelves:
    """The collections of memories of all tenants; safe for many threads."""

    def __init__(self, connection: Connection, identity: EmbedderIdentity, shards: int) -> None:
        """Look through `connection`; `shards` is the number for a tenant that is new."""
        self._connection = connection
        self._identity = identity
        self._shards = shards

    def ledger(self, tenant: str) -> Collection:
        """Return the tenant's ledger; made, with the number of shards in it, if there is none."""
        return self._connection.ensure(layout.ledger_name(tenant), {"shards": self._shards})

    def find_ledger(self, tenant: str) -> Collection | None:
        """Return the tenant's ledger, or None if nothing was ever stored."""
        return self._connection.find(layout.ledger_name(tenant))

    def shard(self, tenant: str, number: int) -> Collection:
        """Return a shard, made if there is none.

        Raises:
            EmbedderMismatch: it was written with another embedder.
        """
        name = layout.shard_name(tenant, number)
        shard = self._connection.ensure(name, identity_metadata(self._identity))
        check_identity(name, shard.metadata, self._identity)
        return shard

    def find_shard_of_user(self, tenant: str, user_id: str) -> Collection | None:
        """Return the shard that holds a user's memories, or None if it was never written."""
        ledger = self.find_ledger(tenant)
        if ledger is None:
            return None
        return self.find_shard(tenant, layout.shard_of_user(user_id, shard_count(ledger)))

    def everywhere(
        self, tenant: str | None = None
    ) -> list[tuple[layout.CollectionName, Collection]]:
        """Return the ledgers and shards of one tenant, or of all."""
        found = []
        for name in self._connection.names():
            parsed = layout.parse_name(name)
            if parsed is None or tenant not in {None, parsed.tenant}:
                continue
            collection = self._connection.find(name)
            if collection is not None:
                found.append((parsed, collection))
        return found

    def find_shard(self, tenant: str, number: int) -> Collection | None:
        """Return a shard, or None if it was never written.

        Raises:
            EmbedderMismatch: it was written with another embedder.
        """
        name = layout.shard_name(tenant, number)
        shard = self._connection.find(name)
        if shard is not None:
            check_identity(name, shard.metadata, self._identity)
        return shard


def shard_count(ledger: Collection) -> int:
    """Return into how many shards the ledger's tenant is partitioned."""
    return int(ledger.metadata["shards"])
