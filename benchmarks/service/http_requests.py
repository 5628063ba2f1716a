"""Write and send single HTTP requests."""

from http.client import HTTPConnection


def http_request(method: str, path: str, body: bytes) -> bytes:
    """Return a whole HTTP/1.1 request that keeps the connection, with JSON if it has a body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def send(address: tuple[str, int], request: bytes) -> tuple[int, bytes]:
    """Send what `http_request` wrote over a connection of its own; return status and body.

    Raises:
        OSError: nobody listens there, or the connection broke.
    """
    head, _, body = request.partition(b"\r\n\r\n")
    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    connection = HTTPConnection(*address, timeout=600)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
