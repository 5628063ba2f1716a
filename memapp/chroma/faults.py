"""Turn what Chroma and its HTTP client raise into memapp's errors, in this one place.

Chroma's exception types are vague (a `ValueError` for a dead server, a bare `Exception` for a
gateway's page) and their `code()` is unreliable over HTTP, so texts and causes decide. Messages
name the fault and the mend; they repeat no page of HTML and no token.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import orjson
from chromadb import errors as chroma

from memapp.errors import (
    EmbedderMismatch,
    FieldError,
    InvalidInput,
    MemappError,
    StoreBroken,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)


class CollectionGone(StoreUnavailable):
    """The collection was dropped, or made anew with other metadata; ask for it again."""


class OutcomeUnknown(StoreUnavailable):
    """The answer to a write was lost: only what Chroma has now can tell whether it was made."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an exception means.

    Attributes:
        error: What to raise instead.
        is_passing: The same call may well succeed at once.
        may_be_done: Chroma may have done what it was asked, and only the answer was lost: a look at
            what it has tells. Not said of what takes too long, which Chroma may do after any look.
        repeats: At least how often a passing fault is worth repeating, where repeating is allowed.
        is_outage: Nobody answers; other calls would fail too.
        is_stale: The client itself is of no use any more and must be opened anew.
    """

    error: MemappError
    is_passing: bool = False
    may_be_done: bool = False
    repeats: int = 0
    is_outage: bool = False
    is_stale: bool = False


def fault_of(error: Exception) -> Fault | None:
    """Return what an exception of a Chroma call means, or None if it is not Chroma's."""
    match error:
        case CollectionGone():
            return Fault(error)
        case StoreUnavailable():
            return Fault(error, is_outage=True)
        case MemappError():
            return Fault(error)
        case httpx.HTTPStatusError():
            return _of_status(error.response)
        case httpx.TransportError():
            return _of_transport(error)
        case orjson.JSONDecodeError() | httpx.DecodingError():
            return Fault(StoreBroken(f"what answers in Chroma's place is not Chroma: {_MEND}"))
        case chroma.ChromaError():
            return _of_chroma(error)
    if type(error) is Exception and isinstance(error.__context__, httpx.HTTPStatusError):
        # Chroma's client turns an answer that is not Chroma's JSON into a bare Exception.
        return _of_status(error.__context__.response)
    return None


def opening_fault_of(error: Exception) -> Fault | None:
    """Return what an exception of a client's constructor means.

    There, and only there, Chroma's client reports every failure as a `ValueError`.
    """
    if type(error) is ValueError:
        for cause in _causes(error):
            fault = fault_of(cause)
            if fault is not None:
                return fault
    if isinstance(error, chroma.NotFoundError | chroma.InvalidArgumentError):
        message = f"{_text(error)}: check CHROMA_TENANT and CHROMA_DATABASE"
        return Fault(StoreUnavailable(message))
    return fault_of(error)


_MEND = "check CHROMA_HOST, CHROMA_PORT and CHROMA_SSL, and any proxy in between"

_REFUSED = "Chroma, or the gate in front of it, refuses memapp's token: check CHROMA_AUTH_TOKEN"


def _causes(error: BaseException) -> Iterator[Exception]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, Exception):
            yield cause
        cause = cause.__cause__ or cause.__context__


def _lost(message: str) -> Fault:
    """Return the fault of a call that may have reached Chroma before it failed."""
    return Fault(StoreUnavailable(message), is_passing=True, may_be_done=True, is_outage=True)


def _of_transport(error: httpx.TransportError) -> Fault:
    match error:
        case httpx.ConnectTimeout():
            detail = "connecting took too long: check CHROMA_HOST, CHROMA_PORT and any firewall"
            if "sign of life" in str(error):
                detail = f"{error}: look at it and its host, and check CHROMA_PORT"
            return Fault(StoreUnavailable(f"Chroma does not answer: {detail}"), is_outage=True)
        case httpx.PoolTimeout():
            return Fault(StoreTimeout("no connection to Chroma became free in time"))
        case httpx.WriteTimeout():
            message = "Chroma took in nothing of a request for all of CHROMA_PROBE_TIMEOUT"
            return Fault(StoreTimeout(message))
        case httpx.TimeoutException():
            message = "Chroma took longer than CHROMA_READ_TIMEOUT allows"
            return Fault(StoreTimeout(message))
        case httpx.ConnectError():
            return _of_connecting(error)
        case httpx.RemoteProtocolError() if not re.search("disconnected|closed", str(error)):
            return Fault(StoreBroken(f"what answers is not an HTTP server: {_MEND}"))
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            message = f"the connection to Chroma broke; if this goes on, {_MEND}"
            return _lost(message)
        case _:
            return Fault(StoreUnavailable(f"Chroma cannot be reached: {_MEND}"), is_outage=True)


def _of_connecting(error: httpx.ConnectError) -> Fault:
    text = str(error)
    if re.search(r"looking up|\[Errno -\d+\]", text):  # The look-up's error numbers are negative.
        message = "the host name of Chroma is not known: check CHROMA_HOST"
        return Fault(StoreUnavailable(message), is_outage=True)
    if "SSL" in text or "CERTIFICATE" in text:
        if "CERTIFICATE_VERIFY_FAILED" in text:
            message = "the TLS certificate of Chroma is not trusted: check CHROMA_HOST"
        else:
            message = "Chroma does not speak TLS on this port: check CHROMA_SSL and CHROMA_PORT"
        return Fault(StoreUnavailable(message), is_outage=True)
    if "refused" in text:
        message = "Chroma is not running there: start it, or check CHROMA_HOST and CHROMA_PORT"
        return Fault(StoreUnavailable(message), is_passing=True, is_outage=True)
    message = "there is no way to Chroma's host: check CHROMA_HOST and the network"
    return Fault(StoreUnavailable(message), is_outage=True)


def _of_status(response: httpx.Response) -> Fault:
    status = response.status_code
    match status:
        case 401 | 403 | 407:
            return Fault(StoreRefused(f"{_REFUSED} (status {status})"))
        case 413:
            message = "the request is too large for Chroma or a proxy: lower CHROMA_BATCH_SIZE"
            return Fault(StoreBroken(f"{message} (status 413)"))
        case 429:
            return Fault(StoreUnavailable("Chroma is overloaded (status 429)"), is_passing=True)
        case 502 | 503:
            return _lost(f"the proxy in front of Chroma cannot reach it (status {status})")
        case 408 | 504:
            message = f"the proxy in front of Chroma waited too long for it (status {status})"
            return Fault(StoreTimeout(message), is_outage=True)
        case 404:
            message = f"what answers is no Chroma server of version 1 (status 404): {_MEND}"
            return Fault(StoreBroken(message))
        case 500:
            return Fault(StoreBroken("Chroma answered with an internal error (status 500)"))
        case _:
            message = f"what answers in Chroma's place is not Chroma (status {status}): {_MEND}"
            return Fault(StoreBroken(message))


def _of_chroma(error: chroma.ChromaError) -> Fault:
    text = _text(error)
    match error:
        case chroma.ChromaAuthError() | chroma.AuthorizationError():
            return Fault(StoreRefused(_REFUSED))
        case chroma.RateLimitError():
            return Fault(StoreUnavailable("Chroma is overloaded"), is_passing=True)
        case chroma.BatchSizeExceededError():
            message = "the request is too large for Chroma or a proxy: lower CHROMA_BATCH_SIZE"
            return Fault(StoreBroken(message))
        case chroma.NotFoundError():
            return Fault(CollectionGone(text))
        case chroma.InvalidArgumentError() | chroma.InvalidDimensionException() if (
            "dimension" in text
        ):
            return Fault(EmbedderMismatch(f"the store holds vectors of another length: {text}"))
        case chroma.InvalidArgumentError() | chroma.DuplicateIDError():
            return Fault(InvalidInput([FieldError("", f"Chroma cannot take this: {text}")]))
    if "Nothing found on disk" in text:
        # A query between a collection's first write and the first save of its index
        # (facts of Chroma 1.5.9: it is there a moment later).
        message = "Chroma is still writing the index of this collection"
        return Fault(StoreUnavailable(message), is_passing=True)
    if re.search(r"Missing \w+ segment", text):
        # Chroma reads a collection first and its segments afterwards: a call that meets a drop in
        # between finds none (Chroma 1.5.9; one in six of ingests that met drops).
        message = f"Chroma is still making or removing this collection: {text}"
        return Fault(StoreBroken(message), is_passing=True)
    if "upstream unavailable" in text:
        return _lost("the proxy in front of Chroma cannot reach it")
    return _of_damage(text)


_SQLITE: Mapping[int, str] = {
    5: "another program has locked Chroma's database",
    6: "another program has locked Chroma's database",
    8: "Chroma's data folder was removed or replaced, or may not be written",
    10: "the disk that holds Chroma's data fails",
    11: "Chroma's database is damaged: restore it from a backup",
    13: "the disk that holds Chroma's data is full",
    14: "Chroma's data folder was removed, or may not be read",
    26: "Chroma's database is damaged: restore it from a backup",
}
"""What SQLite's primary result codes mean to us: https://www.sqlite.org/rescode.html."""


def _of_damage(text: str) -> Fault:
    code = re.search(r"\(code: (\d+)\)", text)
    meaning = _SQLITE.get(int(code[1]) % 256) if code else None
    if meaning:
        # An embedded engine that met one keeps a lock, and hangs when all is well again.
        return Fault(StoreBroken(meaning), is_stale=True)
    if "logs to the metadata segment" in text:
        message = "Chroma cannot store what it was given: look at its disk and its log"
        return Fault(StoreBroken(message), is_stale=True)
    if re.search(r"pickle|hnsw|Error finding id|Error getting embedding|compact", text):
        message = f"the index of a collection is damaged and must be rebuilt: {text}"
        if re.search("Error finding id|Error getting embedding", text):
            # Chroma reads a collection's records first and its index afterwards: a read that meets
            # a deletion in between fails with these words too, until the deletion is complete,
            # which takes a busy disk some tenths of a second.
            return Fault(StoreBroken(message), is_passing=True, repeats=5)
        return Fault(StoreBroken(message))
    return Fault(StoreBroken(f"Chroma failed: {text}"))


def _text(error: Exception) -> str:
    """Return an error's text, on one line and not too long."""
    return " ".join(str(error).split())[:300]
