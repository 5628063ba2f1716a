"""A gunicorn that alone writes to Chroma need not ask it at every search."""

import time

from tests.production.conftest import Start
from tests.production.gate import Gate
from tests.production.memapp_server import behind

DEADLINE = 60.0
SEARCHES = 40


def test_searches_ask_chroma_only_now_and_then(gate: Gate, new_server: Start) -> None:
    gate.stop()
    site = gate.folder / "conf.d" / "site.conf"
    site.write_text(site.read_text().replace("access_log off", "access_log requests.log"))
    gate.start()
    server = new_server(behind(gate), "-w", "1")
    server.start(until="/health/ready")
    server.write("tea is in the left cupboard").raise_for_status()
    log = gate.folder / "requests.log"
    deadline = time.monotonic() + DEADLINE

    while True:
        before = len(log.read_text().splitlines())
        for _ in range(SEARCHES):
            assert server.find("where is the tea?") == "tea is in the left cupboard"
        asked = len(log.read_text().splitlines()) - before
        # Without a lease it is one for each search at least; with one, four a second.
        if asked < 0.8 * SEARCHES:
            break
        assert time.monotonic() < deadline, f"{asked} requests to Chroma for {SEARCHES} searches"

    server.write("the train leaves at nine").raise_for_status()
    for _ in range(4):
        found = server.search("the train").json()["data"]
        assert "the train leaves at nine" in [one["text"] for one in found]
