"""Close a door without resetting anybody who stands in it."""

import ctypes
import socket
import struct
import sys


def turn_away(door: socket.socket) -> bool:
    """Let nobody else begin to connect, so that those who have can be taken in to the last.

    Their first packets are dropped, as if lost: clients try again, by then at the next service or
    at a closed door. Without it, whoever connects between the last look at the queue and its end is
    reset. See socket(7), SO_ATTACH_FILTER.

    Returns:
        Whether the system can do this.
    """
    if sys.platform != "linux" or door.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    code = (ctypes.c_char * len(_NO_SYN)).from_buffer_copy(_NO_SYN)
    program = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(code))
    try:
        door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


_SO_ATTACH_FILTER = 26

_NO_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # ldb [13]: the flags of the TCP header (RFC 9293, section 3.1)
        (0x45, 0, 1, 0x02),  # jset #SYN, next, next but one
        (0x06, 0, 0, 0),  # ret #0: drop
        (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: keep
    )
)
"""Classic BPF (McCanne and Jacobson, USENIX 1993) that drops what begins a connection."""
