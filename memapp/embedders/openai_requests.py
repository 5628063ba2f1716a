"""Send requests to an embedding service, with patience that has an end."""

import email.utils
import logging
import random
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from memapp.embedders.per_process import PerProcess
from memapp.errors import EmbedderUnavailable

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 5.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class EmbeddingService:
    """One service, its key, and how long to wait for it. Safe to use from many threads.

    The key is in no message, log line or `repr`. What the service says in an error is not
    repeated either, because services like to quote the key; only its short code is.
    """

    def __init__(self, base_url: str, *, key: str, timeout: float, retries: int) -> None:
        """Connect to nothing yet.

        Args:
            base_url: `/embeddings` is appended.
            key: Sent as a bearer token; empty sends none.
            timeout: Seconds; longest silence while an answer is awaited.
            retries: How often a request is repeated that failed in passing.
        """
        self.host = urlsplit(base_url).netloc
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._auth = _Bearer(key)
        self._timeout = timeout
        self._retries = retries
        # A session is for one thread, and its sockets for one process.
        self._local = PerProcess(threading.local)

    def post(self, body: Mapping[str, Any]) -> Any:
        """Send a request and return the decoded answer.

        Too many requests, faults of the server and broken connections are tried again, after
        the time that the service asks for or a growing, jittered pause.

        Raises:
            EmbedderUnavailable: the service did not answer with success and JSON.
        """
        for attempt in range(self._retries + 1):
            try:
                return self._post_once(body)
            except _Passing as failure:
                pause = _pause(attempt) if failure.pause is None else failure.pause
                if attempt == self._retries or pause > self._timeout:
                    raise
                _log.warning("%s; trying again in %.1f s", failure, pause)
                time.sleep(pause)
        raise AssertionError  # pragma: no cover

    def _post_once(self, body: Mapping[str, Any]) -> Any:
        try:
            response = self._session().post(
                self._url,
                json=body,
                auth=self._auth,
                timeout=(min(_CONNECT_TIMEOUT, self._timeout), self._timeout),
                allow_redirects=False,
            )
        except requests.Timeout as error:
            message = f"{self._name} did not answer within {self._timeout} s"
            raise _Passing(message) from error
        except requests.RequestException as error:
            message = f"{self._name} cannot be reached ({type(error).__name__})"
            raise _Passing(message) from error
        if response.status_code != HTTPStatus.OK:
            raise self._failure(response)
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            message = f"{self._name} answered with broken JSON"
            raise _Passing(message) from error

    @property
    def _name(self) -> str:
        return f"the embedding service at {self.host}"

    def _session(self) -> requests.Session:
        local = self._local.get()
        if not hasattr(local, "session"):
            local.session = requests.Session()
        session: requests.Session = local.session
        return session

    def _failure(self, response: requests.Response) -> EmbedderUnavailable:
        status = response.status_code
        message = f"{self._name} answered {status}{self._code(response)}"
        if status in _REFUSALS:
            return EmbedderUnavailable(f"{message}: it refuses the key; look at OPENAI_API_KEY")
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _Passing(message, pause=_asked_pause(response.headers.get("Retry-After")))
        return EmbedderUnavailable(f"{message}; look at OPENAI_BASE_URL and OPENAI_MODEL")

    def _code(self, response: requests.Response) -> str:
        try:
            code = response.json()["error"]["code"]
        except (requests.JSONDecodeError, KeyError, TypeError):
            return ""
        is_word = isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code)
        return f" ({code})" if is_word and not self._auth.quotes(code) else ""


class _Passing(EmbedderUnavailable):
    """A failure that may be over soon; `pause` is the time the service asks for, in seconds."""

    def __init__(self, message: str, *, pause: float | None = None) -> None:
        self.pause = pause
        super().__init__(message)


class _Bearer(AuthBase):
    """Sends the key.

    Given to requests as `auth`, because it would otherwise look for a password in ~/.netrc and
    send that instead (https://github.com/psf/requests/issues/3929).
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def quotes(self, text: str) -> bool:
        """Tell whether a text could give the key away."""
        return bool(self._key) and (text in self._key or self._key in text)


def _pause(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311


def _asked_pause(retry_after: str | None) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110, 10.2.3), None if it is absurd."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
