"""The port that the page is served on, until somebody ends it."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable

from minivae.errors import UsageError
from minivae.stopping import Signals

THREADS = 8             # that read requests and write answers; the model has one of its own
CONNECTIONS = 100


def bound(host: str, port: int) -> socket.socket:
    """A socket on that address, before anything is loaded; others wait at it until it is served.

    Args:
        port: 0 for one that is free.

    Raises:
        UsageError: the host is none of this machine's addresses, or the port is in use or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family)
    except (OSError, UnicodeError) as error:       # the latter of a name with an empty or too long part
        raise UsageError(_why(error, host, port)) from error


def _why(error: OSError | UnicodeError, host: str, port: int) -> str:
    if isinstance(error, UnicodeError):
        return f"--host is {host!r}, which no host can be called: leave it out, or give one such as 0.0.0.0"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: end what uses it, or name another with --port; 0 is any that is free"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user: name one from 1024 on with --port"
    return (f"--host is {host!r}, which is no address of this machine ({error.strerror or error}): leave it out, or give "
            "one such as 0.0.0.0")


def run(app: Callable, listening: socket.socket, most: int) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    Args:
        most: bytes of a request's body; larger ones are not even read.
    """
    from waitress import create_server

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)     # a browser asks for more at once than there are threads

    server = create_server(app, sockets=[listening], threads=THREADS, connection_limit=CONNECTIONS, ident=None,
                           max_request_body_size=most + 1, clear_untrusted_proxy_headers=True)
    with Signals(), listening:
        server.run()        # ends at any of them, as at Ctrl-C
