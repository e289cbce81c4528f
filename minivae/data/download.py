"""Downloads that are checked: a file appears only where all of it has come and its SHA-256 is right."""

from __future__ import annotations

import hashlib
import http.client
import sys
import urllib.error
import urllib.request
from pathlib import Path

from minivae.errors import MinivaeError
from minivae.files import replacing

LIMIT = 64 << 20  # the largest file there is has 26 MB
TIMEOUT = 30.0  # seconds without an answer


def fetch(url: str, target: Path, sha256: str) -> None:
    """Download `url` to `target`, whose folder is made if need be, and say so on standard error.

    Raises:
        MinivaeError: no connection, a file that is too large or whose hex digest is not `sha256`, or
            `target` cannot be written. There is then no file, and none left half-way.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MinivaeError(f"cannot make the folder {target.parent}: {error.strerror or error}") from error
    print(f"downloading {url} to {target}", file=sys.stderr)
    # It stays in memory until it is known to be right: what breaks off never touches the disk.
    content = _content(url)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _failed(url, f"SHA-256 {found} of {len(content)} bytes, expected {sha256}")
    with replacing(target) as out:
        out.write(content)


def _content(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
            content = reply.read(LIMIT + 1)
    except urllib.error.HTTPError as error:
        error.close()  # it is also the reply, and holds the connection
        raise _failed(url, error) from error
    except urllib.error.URLError as error:
        raise _failed(url, error.reason) from error  # its own text is "<urlopen error ...>"
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, error) from error
    if len(content) > LIMIT:
        raise _failed(url, f"it is larger than {LIMIT} bytes")
    return content


def _failed(url: str, reason: object) -> MinivaeError:
    return MinivaeError(f"cannot download {url}: {reason}")
