"""An open client and the collections found through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chromadb.api import ClientAPI
from chromadb.api.models.Collection import Collection as ChromaCollection
from chromadb.errors import NotFoundError

from memapp.chroma.faults import CollectionGone
from memapp.errors import StoreBroken

SYNC_THRESHOLD = 250
"""Records of a collection after which Chroma saves its index; its own default is 1,000.

At each write Chroma 1.5.9 reads again all that was written to the collection since, 20 us for each
record, which is most of what a write costs it (`rust/log/src/local_compaction_manager.rs`). But a
crash while it saves, some 10 ms, may damage the index. With several writers at once it forgets what
it has applied (`apply_log_chunk` in `rust/segment/src/local_hnsw.rs` sets `last_seen_seq_id` to 0
where nothing is new), counts it again, and saves after some hundred records whatever it is told;
memapp, whose writes come one after the other, would save a fourth as often as others do.
"""

MetadataScalars = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """One generation of a connection: what was opened together and is closed together.

    Attributes:
        client: Chroma's client.
        sync_threshold: Records after which Chroma saves the index of a collection made through it.
        collections: Chroma's handles by name. A handle is bound to the collection's UUID.
    """

    client: ClientAPI
    sync_threshold: int = SYNC_THRESHOLD
    collections: dict[str, ChromaCollection] = field(default_factory=dict)


def resolve(session: Session, name: str, creation: MetadataScalars | None) -> ChromaCollection:
    """Return Chroma's handle of a collection, making it if `creation` is given.

    Raises:
        CollectionGone: there is none, and `creation` is None.
        StoreBroken: it does not measure cosine distance.
    """
    known = session.collections.get(name)
    if known is not None:
        return known
    try:
        collection = session.client.get_collection(name, embedding_function=None)
    except NotFoundError as error:
        if creation is None:
            message = f"there is no collection {name}"
            raise CollectionGone(message) from error
        collection = session.client.get_or_create_collection(
            name,
            metadata=dict(creation),
            configuration={"hnsw": {"space": "cosine", "sync_threshold": session.sync_threshold}},
            embedding_function=None,
        )
    _check_space(collection)
    # It tells which fields have sparse vectors: none. Chroma's client would read it at each write,
    # for a third of the time that a write takes it.
    collection._model.serialized_schema = None  # noqa: SLF001
    session.collections[name] = collection
    return collection


def _check_space(collection: ChromaCollection) -> None:
    # `configuration` would build the embedding function the server names; this does not.
    configuration = collection.configuration_json
    index = configuration.get("hnsw") or configuration.get("spann") or {}
    space = index.get("space")
    if space != "cosine":
        message = (
            f"the collection {collection.name} measures {space} distance, but memapp needs "
            "cosine: it was not made by memapp; rename or drop it"
        )
        raise StoreBroken(message)
