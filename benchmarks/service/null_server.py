"""An HTTP server that does nothing: it tells how fast the load generator could go at most."""

import selectors
import socket
import sys

_BODY = b'{"data":[' + b",".join([b'{"id":"' + b"0" * 300 + b'"}'] * 10) + b"]}"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
"""About as large as the answer to a search with ten results."""


def serve(port: int) -> None:
    """Answer every packet that comes; good enough for requests of less than a packet."""
    with socket.create_server(("127.0.0.1", port)) as door, selectors.DefaultSelector() as waiting:
        waiting.register(door, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is door:
                    connection, _ = door.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    waiting.register(connection, selectors.EVENT_READ, connection)
                elif key.data.recv(65_536):
                    key.data.sendall(_ANSWER)
                else:
                    waiting.unregister(key.data)
                    key.data.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
