"""What may stand where Chroma should be: a gate in front of it, and programs that are not it."""

import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """What a gate answers itself instead of asking Chroma."""

    status: int
    body: str = "<html><body><h1>nginx</h1></body></html>"
    content_type: str = "text/html"


class Gate:
    """A reverse proxy in front of a real Chroma, which can be told to misbehave.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        answers: What it answers to every request but the heartbeat; None passes it on.
        answered: It answers so for paths that end so.
        delay: Seconds it waits before every request but the heartbeat.
        delayed: The delay is for paths that end so.
        is_deaf: Whether the heartbeat alone is not answered.
        hang_ups: How many of the next requests it drops after they have reached Chroma.
        swallows: How many of the next requests it drops before they reach Chroma.
        dropped: Both are for paths that end so.
        meanwhile: What happens before it drops a request.
        is_mute: Whether it answers nothing at all, the heartbeat included.
        requests: Method and path of what it was asked.
        headers: Headers of the last request.
    """

    def __init__(self, upstream_port: int) -> None:
        self.answers: Answer | None = None
        self.answered = ""
        self.delay = 0.0
        self.delayed = ""
        self.is_deaf = False
        self.hang_ups = 0
        self.swallows = 0
        self.dropped = ""
        self.meanwhile: Callable[[], object] = lambda: None
        self.is_mute = False
        self.requests: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.closing = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                gate.pass_on(self, upstream_port)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]

    def pass_on(self, request: BaseHTTPRequestHandler, upstream_port: int) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, request.path))
        self.headers = dict(request.headers)
        is_heartbeat = request.path.endswith("/heartbeat")
        while (self.is_mute or (self.is_deaf and is_heartbeat)) and not self.closing.wait(0.02):
            pass
        is_answered = request.path.endswith(self.answered) and not is_heartbeat
        if self.answers is not None and is_answered:
            self.reply(request, self.answers.status, self.answers.body.encode(), self.answers)
            return
        if not is_heartbeat and request.path.endswith(self.delayed):
            self.closing.wait(self.delay)
        may_drop = request.path.endswith(self.dropped) and not is_heartbeat
        if self.swallows > 0 and may_drop:
            self.swallows -= 1
            self.meanwhile()
            request.close_connection = True
            return
        upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=30)
        upstream.request(request.command, request.path, body, {"Content-Type": "application/json"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self.hang_ups > 0 and may_drop:
            self.hang_ups -= 1
            self.meanwhile()
            request.close_connection = True
            return
        self.reply(request, answer.status, content, None)

    @staticmethod
    def reply(
        request: BaseHTTPRequestHandler, status: int, body: bytes, answer: Answer | None
    ) -> None:
        with suppress(ConnectionError):
            request.send_response(status)
            content_type = "application/json" if answer is None else answer.content_type
            request.send_header("Content-Type", content_type)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)


@contextmanager
def gate(upstream_port: int) -> Iterator[Gate]:
    """Run a gate in front of a Chroma server."""
    made = Gate(upstream_port)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.closing.set()
        made.server.shutdown()
        made.server.server_close()
        thread.join()


@contextmanager
def listener(talk: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a port, do `talk` with everyone who connects, and yield the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        open_sockets: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connected, _ = server.accept()
                except OSError:
                    return
                open_sockets.append(connected)
                threading.Thread(target=speak, args=(connected,), daemon=True).start()

        def speak(connected: socket.socket) -> None:
            with suppress(OSError):
                talk(connected)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connected in open_sockets:
                connected.close()


def say_nothing(connected: socket.socket) -> None:
    """Accept and never answer, as a frozen server does."""
    while connected.recv(65536):
        pass


@contextmanager
def closed_door() -> Iterator[int]:
    """Yield a port that answers nobody who knocks, as behind a firewall."""
    with socket.socket() as server, ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # More than the kernel lets wait: it drops whoever comes after.
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def greet_as_ssh(connected: socket.socket) -> None:
    """Be another program."""
    connected.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    connected.recv(65536)
    connected.sendall(b"Invalid SSH identification string.\r\n")
    connected.close()


def answer_briefly(
    status: int, heard: list[bytes] | None = None
) -> Callable[[socket.socket], None]:
    """Return a `talk` that answers one request with a status and nothing else."""

    def talk(connected: socket.socket) -> None:
        received = connected.recv(65536)
        if heard is not None:
            heard.append(received)
        connected.sendall(b"HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n" % status)

    return talk


def speak_tls(
    folder: Path, talk: Callable[[socket.socket], None] = say_nothing
) -> Callable[[socket.socket], None]:
    """Return a `talk` that insists on TLS, with a certificate that nobody trusts.

    Args:
        folder: Gets the certificate, `certificate.pem`, and its key.
        talk: What it does with everyone who speaks TLS.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subject = ["-subj", "/CN=localhost", *names, "-days", "1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, *files],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def secure(connected: socket.socket) -> None:
        with context.wrap_socket(connected, server_side=True) as secured:
            talk(secured)

    return secure
