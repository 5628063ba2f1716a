"""Every setting, declared once: name, kind, range, default, secrecy and one line of help.

`settings.toml`, the example files, the README's table and `memapp config` are checked against it.
A new setting is one more entry here and one commented line in `settings.toml`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memapp import keys, plugins
from memapp.plugins import PLUGIN_FORM
from memapp.settings import texts
from memapp.settings.kinds import Choice, FilePath, Kind, Names, Number, Table, Text, Truth, Whole

DEVELOPMENT = "development"
PRODUCTION = "production"
ENVIRONMENTS = (DEVELOPMENT, PRODUCTION)
SWITCH = "ENV_FOR_DYNACONF"
"""The variable that chooses the environment."""

PREFIX = "MEMAPP_"
"""Every setting can be given as a variable with this before its name."""

BARE_PREFIX = "CHROMA_"
"""Settings whose names begin so are variables as they stand, too."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    Attributes:
        name: Flat, upper case.
        kind: What values it takes.
        default: Its value where no source gives one.
        help: One line, for people.
        group: Heading under which it is listed.
        secret: Its value is never shown.
        production: Its default in production, where that differs.
        cloud: Its default with CHROMA_MODE = "cloud", where that differs; goes before the others.
    """

    name: str
    kind: Kind
    default: object
    help: str
    group: str
    secret: bool = False
    production: object = None
    cloud: object = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it, the one that wins first."""
        prefixed = PREFIX + self.name
        return (self.name, prefixed) if self.name.startswith(BARE_PREFIX) else (prefixed,)


def _api_key_faults(entries: Sequence[str]) -> Sequence[str]:
    return tuple(keys.faults_in(entries))


def _plugin_faults(entries: Sequence[str]) -> Sequence[str]:
    return tuple(plugins.faults_in(entries))


_PLUGIN_NAMES = Names(f"a list of short names or {PLUGIN_FORM!r}", check=_plugin_faults)

_CHROMA = "Chroma"
_ACCESS = "Access"
_EMBEDDING = "Embedding"
_PLUGINS = "Plug-ins"
_RETRIEVAL = "Memories and documents"
_LIMITS = "Limits"
_OPERATION = "Operation"

# The built-ins of `wiring`, which may not be imported from here; a test holds them to be the same.
MODES = ("persistent", "http", "cloud", "ephemeral")
EMBEDDERS = ("minilm", "openai", "chroma-default", "sentence-transformers", "hash")

DECLARED: tuple[Setting, ...] = (
    Setting(
        "CHROMA_MODE",
        Choice(MODES, or_plugin=True),
        "persistent",
        "How memapp reaches Chroma: a folder, a server, Chroma Cloud, this process's memory, "
        "or your own connect(config).",
        _CHROMA,
        production="http",
    ),
    Setting(
        "CHROMA_DB_PATH",
        FilePath(),
        "./data/chroma_memory",
        "Folder of the memories in persistent mode.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_PERSIST_DIR",
        FilePath(),
        "./data/chroma",
        "Folder of the documents in persistent mode.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_HOST",
        Text("a host name or address", texts.host, is_required=True),
        "localhost",
        "Host of the Chroma server in http mode.",
        _CHROMA,
    ),
    Setting("CHROMA_PORT", Whole(1, 65535), 8000, "Its port.", _CHROMA),
    Setting("CHROMA_SSL", Truth(), default=False, help="Reach it by https.", group=_CHROMA),
    Setting(
        "CHROMA_AUTH_TOKEN",
        Text("text of printable ASCII without spaces"),
        "",
        "Token that the gate in front of the Chroma server asks for; empty sends none.",
        _CHROMA,
        secret=True,
    ),
    Setting(
        "CHROMA_AUTH_HEADER",
        Choice(("Authorization", "X-Chroma-Token")),
        "Authorization",
        "Header that carries the token; Authorization carries it as 'Bearer <token>'.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_HEADERS",
        Table("a table of HTTP headers", texts.headers),
        {},
        "Further headers for every request to the Chroma server.",
        _CHROMA,
        secret=True,
    ),
    Setting(
        "CHROMA_TENANT",
        Text(),
        "default_tenant",
        "Chroma's own tenant; with Chroma Cloud, empty takes the key's.",
        _CHROMA,
        cloud="",
    ),
    Setting(
        "CHROMA_DATABASE",
        Text(),
        "default_database",
        "Chroma's own database; with Chroma Cloud, empty takes the key's.",
        _CHROMA,
        cloud="",
    ),
    Setting(
        "CHROMA_API_KEY",
        Text(),
        "",
        "Key for Chroma Cloud; required in cloud mode.",
        _CHROMA,
        secret=True,
    ),
    Setting(
        "CHROMA_CLOUD_HOST",
        Text("a host name or address", texts.host, is_required=True),
        "api.trychroma.com",
        "Host of Chroma Cloud.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_CONNECT_TIMEOUT",
        Number(0.05, 60, "seconds"),
        1.0,
        "Longest wait for a connection to Chroma.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_PROBE_TIMEOUT",
        Number(0.05, 60, "seconds"),
        1.0,
        "How long an unanswered call waits before Chroma is asked for a sign of life.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_READ_TIMEOUT",
        Number(0.1, 600, "seconds"),
        30.0,
        "Longest wait for an answer of a Chroma that shows signs of life.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_RETRIES",
        Whole(0, 10),
        2,
        "How often a call that can be repeated safely is tried again.",
        _CHROMA,
    ),
    Setting(
        "CHROMA_BATCH_SIZE",
        Whole(1, 5000),
        500,
        "Records in one write to Chroma.",
        _CHROMA,
        cloud=300,
    ),
    Setting(
        "CHROMA_SYNC_THRESHOLD",
        Whole(2, 100_000),
        250,
        "Records after which Chroma saves a new collection's index: with fewer its writes are "
        "cheaper, and a crash more often damages an index; docs/production.md, section 9.",
        _CHROMA,
    ),
    Setting(
        "AUTH",
        Choice(("keys", "off")),
        "off",
        "Whether callers need an API key; production without keys must say off itself.",
        _ACCESS,
        production="keys",
    ),
    Setting(
        "API_KEYS",
        Names(
            "a list of '<tenant> <scopes> <sha256>', parted by ';' where it is one text",
            separator=";",
            check=_api_key_faults,
        ),
        (),
        "Who is let in, one entry a key; 'memapp keys new' makes them.",
        _ACCESS,
        secret=True,
    ),
    Setting(
        "EMBEDDER",
        Choice(EMBEDDERS, or_plugin=True),
        "minilm",
        "What turns text into vectors; the built-in minilm works offline, hash is for tests.",
        _EMBEDDING,
    ),
    Setting(
        "EMBEDDER_MODEL_PATH",
        FilePath(),
        "",
        "Another ONNX file for minilm, its tokenizer.json beside it; empty takes the built-in one.",
        _EMBEDDING,
    ),
    Setting(
        "EMBEDDER_MODEL_SHA256",
        Text("64 hex digits", texts.sha256),
        "",
        "SHA-256 of that file, followed by its `.data` if there is one; empty accepts any.",
        _EMBEDDING,
    ),
    Setting(
        "EMBEDDING_CACHE_SIZE",
        Whole(0, 1_000_000),
        2048,
        "Query vectors that each process keeps; 0 keeps none.",
        _EMBEDDING,
    ),
    Setting(
        "EMBEDDING_BATCH_TOKENS",
        Whole(64, 65536),
        256,
        "Tokens, padding included, that minilm embeds at once.",
        _EMBEDDING,
    ),
    Setting(
        "OPENAI_BASE_URL",
        Text("a URL", texts.web_address, is_required=True),
        "https://api.openai.com/v1",
        "Any service that answers POST <this>/embeddings as OpenAI does.",
        _EMBEDDING,
    ),
    Setting(
        "OPENAI_API_KEY",
        Text("text of printable ASCII without spaces", texts.token),
        "",
        "Its key; required for api.openai.com.",
        _EMBEDDING,
        secret=True,
    ),
    Setting(
        "OPENAI_MODEL",
        Text(),
        "",
        'Its model; required with EMBEDDER = "openai".',
        _EMBEDDING,
    ),
    Setting(
        "OPENAI_DIMENSIONS",
        Whole(0, 16384),
        0,
        "Length of the vectors to ask for; 0 takes the model's own.",
        _EMBEDDING,
    ),
    Setting(
        "OPENAI_TIMEOUT",
        Number(0.1, 600, "seconds"),
        30.0,
        "Longest wait for one answer.",
        _EMBEDDING,
    ),
    Setting("OPENAI_BATCH_SIZE", Whole(1, 2048), 128, "Texts in one request.", _EMBEDDING),
    Setting(
        "OPENAI_RETRIES",
        Whole(0, 10),
        3,
        "How often a request that failed in passing is tried again.",
        _EMBEDDING,
    ),
    Setting(
        "SENTENCE_TRANSFORMERS_MODEL",
        Text(is_required=True),
        "sentence-transformers/all-MiniLM-L6-v2",
        'Name or folder of the model with EMBEDDER = "sentence-transformers".',
        _EMBEDDING,
    ),
    Setting(
        "READERS",
        _PLUGIN_NAMES,
        ("text", "markdown", "html", "json", "csv", "code", "pdf"),
        "What reads the files that are ingested; office needs the extra memapp[office].",
        _PLUGINS,
    ),
    Setting(
        "EXTENSIONS",
        _PLUGIN_NAMES,
        (),
        "Flask extensions to start, each with an init_app(app).",
        _PLUGINS,
    ),
    Setting(
        "BLUEPRINTS",
        _PLUGIN_NAMES,
        ("memory", "rag", "health"),
        "Flask blueprints to serve.",
        _PLUGINS,
    ),
    Setting(
        "FLASK",
        Table("a table with upper-case names"),
        {},
        "What Flask and plug-ins read from app.config, by their own names; may hold secrets.",
        _PLUGINS,
        secret=True,
    ),
    Setting(
        "MEMORY_SHARDS",
        Whole(1, 1024),
        8,
        "Collections that a tenant's memories are spread over; kept once the store exists.",
        _RETRIEVAL,
    ),
    Setting(
        "USER_CACHE_BYTES",
        Whole(0, 16 * 2**30),
        128 * 2**20,
        "Memory each process may use for the memories of users asked for often; 0 turns it off.",
        _RETRIEVAL,
    ),
    Setting(
        "ONE_HOST",
        Truth(),
        default=False,
        help="Promises that all that write to this Chroma run on this host, as this user and in "
        "one container; then searches of users asked for often need not ask Chroma.",
        group=_RETRIEVAL,
    ),
    Setting(
        "SEARCH_POOL",
        Whole(10, 2000),
        200,
        "Nearest texts that a search ranks.",
        _RETRIEVAL,
    ),
    Setting(
        "CHUNK_CHARACTERS",
        Whole(100, 20000),
        1200,
        "Length that chunks of documents aim at, in characters.",
        _RETRIEVAL,
    ),
    Setting(
        "CHUNK_OVERLAP",
        Whole(0, 10000),
        200,
        "Characters that neighbouring chunks share; at most half of CHUNK_CHARACTERS.",
        _RETRIEVAL,
    ),
    Setting(
        "SPEAKER_BOOST",
        Number(0, 1),
        0.25,
        "What a memory gains when the query names its speaker; 0 switches it off.",
        _RETRIEVAL,
    ),
    Setting(
        "IDEMPOTENCY_HOURS",
        Number(0.01, 8760, "hours"),
        24.0,
        "How long an Idempotency-Key is remembered.",
        _RETRIEVAL,
    ),
    Setting(
        "MAX_BODY_BYTES",
        Whole(1024, 1 << 30),
        10 * 1024 * 1024,
        "Largest request body, in bytes; uploads have their own limit.",
        _LIMITS,
    ),
    Setting(
        "MAX_UPLOAD_BYTES",
        Whole(1024, 1 << 32),
        50 * 1024 * 1024,
        "Largest body of an upload, in bytes.",
        _LIMITS,
    ),
    Setting(
        "MAX_TEXT_CHARACTERS",
        Whole(1, 1_000_000),
        32000,
        "Longest text of a memory.",
        _LIMITS,
    ),
    Setting("MAX_BATCH_ITEMS", Whole(1, 10000), 1000, "Most memories in one batch.", _LIMITS),
    Setting("MAX_QUERY_CHARACTERS", Whole(1, 100_000), 8000, "Longest query.", _LIMITS),
    Setting(
        "MAX_ID_CHARACTERS", Whole(8, 1024), 256, "Longest id that a caller may choose.", _LIMITS
    ),
    Setting(
        "LOG_LEVEL",
        Choice(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
        "INFO",
        "Least severity that is logged.",
        _OPERATION,
    ),
    Setting(
        "DRAIN_SECONDS",
        Number(0, 300, "seconds"),
        0.0,
        "How long gunicorn goes on serving after SIGTERM while /health/ready answers 503.",
        _OPERATION,
        production=5.0,
    ),
    Setting(
        "METRICS",
        Truth(),
        default=False,
        help="Serve GET /metrics for Prometheus; needs the extra memapp[metrics].",
        group=_OPERATION,
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in DECLARED}
