"""Who is answered: the hosts and origins that this server was started for, so that no page from elsewhere reaches it.

A browser lets any page on the net send requests to 127.0.0.1. Such a request tells whence it comes (Origin, Sec-Fetch-Site).
Or the page gives its own name the address 127.0.0.1 after it was loaded (DNS rebinding), and is then of one origin with this
server; but the request still names the host that the browser believes it talks to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from flask import Response
from werkzeug.datastructures import Headers

from minivae.errors import UsageError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ANY = ("0.0.0.0", "::")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
                               "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """The hosts that requests may name.

    Args:
        host: what the server listens on.
        port: likewise.
        others: more names that it is reached by, each with or without a port of its own.

    Attributes:
        hosts: all of them, with their ports.
        local: only this machine reaches the server.
        anybody: it listens on all addresses of this machine.

    Raises:
        UsageError: no name that a host can have.
    """

    def __init__(self, host: str, port: int, others: Iterable[str] = ()):
        self.local, self.anybody = _is_loopback(host), host in ANY
        self.hosts = {_with_port(name, port) for name in (*LOOPBACK, *(() if self.anybody else (host,)), *others)}

    def objection(self, headers: Headers, page: bool) -> str | None:
        """Why a request is not answered, or None.

        Args:
            headers: of the request.
            page: it reads the page itself, to which others may link.
        """
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if _with_default_port(host.lower()) not in self.hosts:
            return f"this server is not known as {host[:80]!r}: start it with --allow-host and that name, if it is yours"
        own = (origin is None or self._is_own(origin)) and headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        return None if page or own else "the request comes from another site: only this server's own page may make it"

    def _is_own(self, origin: str) -> bool:
        scheme, _, host = origin.lower().partition("://")
        return scheme in ("http", "https") and _with_default_port(host, 443 if scheme == "https" else 80) in self.hosts


def protect(response: Response) -> Response:
    """The response with the headers that keep it to this page."""
    response.headers.update(HEADERS)
    return response


def bracketed(host: str) -> str:
    """A host as addresses of pages have it: an IPv6 address in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _with_port(name: str, port: int) -> str:
    name = bracketed(name)
    host, _, own = name.lower().rpartition(":") if _has_port(name) else (name.lower(), "", str(port))
    if not host or any(c in host for c in "/@ ,") or not own.isdecimal():
        raise UsageError(f"--allow-host is {name!r}, but must be a name such as box.local, or with a port box.local:{port}")
    return f"{host}:{own}"


def _with_default_port(host: str, default: int = 80) -> str:
    return host if _has_port(host) else f"{host}:{default}"


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]
