"""API keys: how they are made, how settings keep them, and whom they let in.

The service never stores a key. Settings hold one entry a key, "<tenant> <scopes> <sha256>"; a key
is 256 random bits, so its plain SHA-256 cannot be guessed back and needs no salt.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from memapp.errors import ConfigurationError

KEY_PREFIX = "memapp_"
SCOPES = ("memory:read", "memory:write", "rag:read", "rag:write", "admin")
ALL_SCOPES = "all"

# No dot: the store joins a tenant's name and other parts with dots.
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TENANT_RULE = "1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit"
_SCOPES_RULE = f"'{ALL_SCOPES}' or some of {','.join(SCOPES)}, parted by commas alone"
_QUOTES = tuple("'\"`\u2018\u2019\u201c\u201d")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking.

    Attributes:
        tenant: Whose data the key reaches.
        scopes: What it may do there, a subset of `SCOPES`.
    """

    tenant: str
    scopes: frozenset[str]


class Keyring:
    """The keys that are let in, by their digests. Immutable, so safe to share between threads."""

    __slots__ = ("_principals",)

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        """Keep who each digest stands for.

        Args:
            principals: By the lower-case SHA-256 hex digest of the key.
        """
        self._principals = {known: (known, who) for known, who in principals.items()}

    @classmethod
    def from_entries(cls, entries: Sequence[str]) -> "Keyring":
        """Read the entries of the setting API_KEYS.

        Raises:
            ConfigurationError: an entry is not written as it must be; all such are listed.
        """
        faults = tuple(f"API_KEYS: {fault}" for fault in faults_in(entries))
        if faults:
            raise ConfigurationError(*faults)
        return cls(dict(_read(entry) for entry in entries))

    def __len__(self) -> int:
        return len(self._principals)

    def __repr__(self) -> str:
        return f"Keyring({len(self)} keys)"

    def find(self, key: str) -> Principal | None:
        """Return whom a key belongs to, or None for a key that is not ours.

        Keys are looked up by their digest, so how long it takes says nothing about how near a
        guess was: a nearly right key has an altogether different digest.
        """
        asked = digest(key)
        known, principal = self._principals.get(asked, ("", None))
        return principal if hmac.compare_digest(known, asked) else None


def new_key() -> str:
    """Make a key: `memapp_` and 43 URL-safe characters that carry 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return the SHA-256 of a key as 64 lower-case hex digits, the form settings keep."""
    # A caller may send anything as a key; a lone surrogate must not raise.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def entry_for(key: str, *, tenant: str, scopes: Sequence[str]) -> str:
    """Write the API_KEYS entry that lets a key in.

    Args:
        key: What `new_key` made.
        tenant: Whose data it reaches.
        scopes: Some of `SCOPES`, or `("all",)`.

    Raises:
        ConfigurationError: the tenant's name or a scope breaks a rule.
    """
    if not _TENANT.fullmatch(tenant):
        fault = f"tenant: {tenant[:60]!r} is not {_TENANT_RULE}"
        raise ConfigurationError(fault)
    if tuple(scopes) != (ALL_SCOPES,) and not (scopes and set(scopes) <= set(SCOPES)):
        fault = f"scopes: {','.join(scopes)[:60]!r} is not {_SCOPES_RULE}"
        raise ConfigurationError(fault)
    return f"{tenant} {','.join(scopes)} {digest(key)}"


def faults_in(entries: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with entries of API_KEYS, by their position from 1, never their text."""
    seen: dict[str, int] = {}
    for position, entry in enumerate(entries, start=1):
        for fault in _faults_of(entry):
            yield f"entry {position} {fault}"
        key_digest = entry.split()[-1] if entry.split() else ""
        if _DIGEST.fullmatch(key_digest) and seen.setdefault(key_digest, position) != position:
            yield (
                f"entry {position} is the same key as entry {seen[key_digest]}; "
                "give each key one entry, or make another key with 'memapp keys new'"
            )


def _faults_of(entry: str) -> Iterator[str]:
    if entry.strip()[:1] in _QUOTES or entry.strip()[-1:] in _QUOTES:
        yield (
            "begins or ends with a quotation mark; write it without: quotes belong around all of a "
            "variable's value, and once (docker's --env-file takes none at all)"
        )
        return
    parts = entry.split()
    if len(parts) != 3:  # noqa: PLR2004
        yield (
            f"has {len(parts)} parts; write '<tenant> <scopes> <sha256 of the key>', "
            "as 'memapp keys new' prints it"
        )
        return
    tenant, scopes, key_digest = parts
    if not _TENANT.fullmatch(tenant):
        yield f"names a tenant that is not {_TENANT_RULE}"
    if scopes != ALL_SCOPES and not set(scopes.split(",")) <= set(SCOPES):
        yield f"has scopes that are not {_SCOPES_RULE}"
    if not _DIGEST.fullmatch(key_digest):
        yield (
            "does not end in the key's SHA-256 as 64 lower-case hex digits; "
            "the key itself does not belong here"
        )


def _read(entry: str) -> tuple[str, Principal]:
    tenant, scopes, key_digest = entry.split()
    granted = SCOPES if scopes == ALL_SCOPES else scopes.split(",")
    return key_digest, Principal(tenant, frozenset(granted))
