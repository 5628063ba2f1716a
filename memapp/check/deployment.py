"""The deployment under test, as an HTTP client sees it."""

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from memapp.check.findings import Finding, Tally, Wrong

WORKER_HEADER = "X-Memapp-Worker"
_WITH_BODY = {200, 201}
_CONFLICT = 409
_SERVICE_UNAVAILABLE = 503
_LONGEST_PAUSE = 1.0
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What to test and how to speak to it.

    Attributes:
        urls: One address a host; requests go to them in turn.
        key: API key, or empty.
        timeout: How long to wait for an answer, in seconds.
        patience: How long to go on trying after a 503 or a broken connection, in seconds.
        ca_bundle: File of the certificates to trust; empty for the usual ones.
    """

    urls: Sequence[str]
    key: str = ""
    timeout: float = 30.0
    patience: float = 0.0
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status; 0 if there was no answer.
        body: Parsed JSON, or None; with status 200 or 201 an object.
        asked: The request in a few words, and the worker that answered.
        is_repeated: Whether an earlier attempt may have been carried out already.
    """

    status: int
    body: Any
    asked: str
    is_repeated: bool


class Deployment:
    """Ask a deployment, each time over a fresh connection, and keep count."""

    def __init__(self, target: Target, tally: Tally) -> None:
        self._target = target
        self._tally = tally
        # Another start in each process, so that the hosts are mixed.
        self._urls = itertools.islice(itertools.cycle(target.urls), os.getpid() % 64, None)
        self._session = requests.Session()
        # A .netrc would replace the key, and looking for one costs more than the request.
        self._session.trust_env = False
        self._session.verify = target.ca_bundle or True
        self._session.headers["Connection"] = "close"
        if target.key:
            self._session.headers["Authorization"] = f"Bearer {target.key}"

    def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        expect: Sequence[int],
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Send one request; None, and a finding, if it is not answered as expected.

        Args:
            kind: What is asked for, to count by.
            method: HTTP method.
            path: Path below the address.
            expect: Status codes that the API provides for here.
            json: Body.
            params: Query parameters.
        """
        url = next(self._urls)
        asked = f"{kind} ({method} {path})"
        deadline = time.monotonic() + self._target.patience
        for attempt in itertools.count():
            begin = time.perf_counter()
            response: requests.Response | None = None
            try:
                response = self._session.request(
                    method, url + path, json=json, params=params, timeout=self._target.timeout
                )
                trouble = f"{response.status_code} {response.text}"
            except requests.RequestException as error:
                trouble = f"{type(error).__name__} {error}"
            took = time.perf_counter() - begin
            if response is not None:
                worker = response.headers.get(WORKER_HEADER, "")
                asked = f"{kind} ({method} {path}) by worker {worker or '?'}"
                if worker:
                    self._tally.workers[worker] += 1
            if response is not None and response.status_code in expect:
                body = _json_of(response)
                if isinstance(body, dict) or response.status_code not in _WITH_BODY:
                    self._tally.seconds.setdefault(kind, []).append(took)
                    return Answer(response.status_code, body, asked, attempt > 0)
                trouble = f"{response.status_code} without a JSON object: {response.text}"
            if not self._may_repeat(response, deadline, took, is_first=attempt == 0):
                self._tally.record(Finding(Wrong.FAILED, f"{asked}: {_one_line(trouble)}"))
                return None
        raise AssertionError  # pragma: no cover

    def _may_repeat(
        self, response: requests.Response | None, deadline: float, took: float, *, is_first: bool
    ) -> bool:
        status = response.status_code if response is not None else 0
        if status == _SERVICE_UNAVAILABLE:
            self._tally.slowest_unavailable = max(self._tally.slowest_unavailable, took)
        # A change that was cut off may stand in the way of its own repetition for a while.
        is_own_shadow = status == _CONFLICT and not is_first
        if status not in {0, _SERVICE_UNAVAILABLE} and not is_own_shadow:
            return False
        if time.monotonic() >= deadline:
            return False
        self._tally.unavailable += 1
        wished = response.headers.get("Retry-After", "") if response is not None else ""
        time.sleep(min(float(wished) if wished.isdigit() else 0.1, _LONGEST_PAUSE))
        return True


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARACTERS]


def _json_of(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None
