"""`minivae serve`, as a person uses it."""

import json
import signal
import socket
import time
import urllib.request

import pytest
from command_line import minivae
from served import digits, run, serving, thread, vaes  # noqa: F401

from minivae.serve import listen

def port_of(address):
    return int(address.rstrip("/").rsplit(":", 1)[1])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_and_end(serving, how):
    """It says where the page is and why there are no images to start from, answers there, and ends at once and quietly."""
    process, address = serving()
    with urllib.request.urlopen(f"{address}api/model", timeout=30) as answer:
        assert json.load(answer)["run"] == "labelled"
    with socket.create_connection(("127.0.0.1", port_of(address))):     # an open connection does not hold it
        began = time.monotonic()
        process.send_signal(how)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "") and time.monotonic() - began < 4


def test_serve_says_what_it_cannot(run, tmp_path):
    """No run, a port in use, an address of another machine, a bad name: a line each, before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, words in ((["nothing"], "there is no run in nothing"),
                                 ([run, "--port", port], f"port {port} of 127.0.0.1 is in use"),
                                 ([run, "--port", 0, "--host", "203.0.113.7"], "no address of this machine"),
                                 ([run, "--port", 0, "--host", "no.such.name.invalid"], "no address of this machine"),
                                 ([run, "--port", 0, "--host", "a..b"], "--host is 'a..b', which no host can be called"),
                                 ([run, "--port", 0, "--host", "a" * 70], "which no host can be called"),
                                 ([run, "--port", 70000], "--port"),
                                 ([run, "--port", 0, "--allow-host", "http://x"], "--allow-host is"),
                                 ([run, "--port", 0, "--data", "nowhere", "--device", "cpu"], "no data set 'nowhere'")):
            code, _, err = minivae("serve", *arguments, cwd=tmp_path)
            assert code == 2 and words in err and err.count("\n") == 1, err


def test_open_to_others_is_said(serving):
    """--host 0.0.0.0 warns of what that means, and answers to the names that it was given alone."""
    process, address = serving("--host", "0.0.0.0", "--allow-host", "box.local")
    assert address.startswith("http://localhost:")
    ask = urllib.request.Request(address, headers={"Host": f"box.local:{port_of(address)}"})
    with urllib.request.urlopen(ask, timeout=30) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "without a password" in err and "box.local" in err and err.count("\n") == 1


def test_a_body_that_is_too_large_is_not_read(serving):
    """The server closes on what is announced as larger than any picture may be, without taking it."""
    _, address = serving()
    port = port_of(address)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"POST /api/encode HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: image/png\r\n"
                           f"Content-Length: {2**33}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(1000)


def test_a_free_port():
    """0 takes one, of both kinds of addresses."""
    with listen.bound("127.0.0.1", 0) as one, listen.bound("localhost", 0) as two:
        assert one.getsockname()[1] and two.getsockname()[1]
