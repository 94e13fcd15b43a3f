"""Which port a service listens on: PORT if it is set, else its usual one, else a free one."""

from __future__ import annotations

import logging
import os
import socket
import sys

HOST = "127.0.0.1"
log = logging.getLogger("ports")


def service_port(usual: int) -> int:
    """The port to listen on; ends the program with status 1 if PORT is no port or is taken."""
    asked = os.environ.get("PORT", "").strip()
    if asked:
        if not asked.isdecimal() or int(asked) > 65_535:
            sys.exit(f"PORT={asked!r} is not a port\nhint: give a number from 1 to 65535")
        if not is_free(int(asked)):
            sys.exit(f"PORT={asked} is taken\nhint: free it, or leave PORT out to use a free one")
        return int(asked)
    if is_free(usual):
        return usual
    with bound(0) as free:
        number = int(free.getsockname()[1])
    log.warning("port %d is taken, using %d", usual, number)
    return number


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of the loopback address."""
    try:
        bound(port).close()
    except OSError:
        return False
    return True


def bound(port: int) -> socket.socket:
    """A socket bound to the port (0: any free one), with the option that servers use."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
    except OSError:
        found.close()
        raise
    return found
