"""What the server of the page refuses, and whom."""

import io
import re
import zlib

import pytest
from PIL import Image
from served import client_of, digits, labelled, plain, thread, vaes  # noqa: F401

from minivae.errors import UsageError
from minivae.serve.app import UPLOAD
from minivae.serve.guard import HEADERS, Guard
from minivae.serve.served import Served

GOOD = {"codes": [[0, 0, 0, 0, 0, 0]]}


@pytest.mark.parametrize(("path", "sent", "words"), [
    ("decode", {}, "no field 'codes'"),
    ("decode", [1], "no object"),
    ("decode", {"codes": []}, "a list of 0"),
    ("decode", {"codes": 3}, "codes is 3"),
    ("decode", {"codes": [[0] * 5]}, r"codes\[0\] is a list of 5, but a code of this model is a list of 6"),
    ("decode", {"codes": [[0, 0, 0, 0, 0, "x"]]}, r'codes\[0\] holds "x", but takes numbers from -1000 to 1000'),
    ("decode", {"codes": [[0, 0, 0, 0, 0, True]]}, "holds true"),
    ("decode", {"codes": [[0, 0, 0, 0, 0, None]]}, "holds null"),
    ("decode", {"codes": [[0, 0, 0, 0, 0, 1e300]]}, "holds 1e.300"),
    ("decode", {"codes": [[0, 0, 0, 0, 0, 10**60]]}, "a number of many digits"),
    ("decode", {"codes": [[0] * 6] * 600}, "600 pictures are asked for, but of this model an answer has at most 512"),
    ("decode", {"codes": [[0] * 6] * 1001}, "must be a list of 1 to 1000 codes"),
    ("decode", {**GOOD, "classes": [1]}, "knows of no classes: leave it out"),
    ("traverse", {"code": [0] * 6, "values": [0], "axes": "numbers", "which": [6]}, "which holds 6, but there are 0 to 5"),
    ("traverse", {"code": [0] * 6, "values": [0], "axes": "numbers", "which": [-1]}, "which holds -1"),
    ("traverse", {"code": [0] * 6, "values": [0], "axes": "x", "which": [0]}, "x\", but must be 'numbers' or 'directions'"),
    ("traverse", {"code": [0] * 6, "values": [0], "axes": ["numbers"], "which": [0]}, "axes is a list of 1"),
    ("traverse", {"code": [0] * 6, "values": [0], "axes": "directions", "which": [6]}, "there are 0 to 5"),
    ("traverse", {"code": [0] * 6, "values": [0] * 500, "axes": "numbers", "which": [0, 1]}, "1,000 pictures are asked for"),
    ("classes", {"code": [0] * 6}, "knows of no classes"),
    ("between", {"a": [0] * 6, "b": [0] * 6, "steps": 1}, "steps is 1, but must be a whole number from 2 to 200"),
    ("between", {"a": [0] * 6, "b": [0] * 6, "steps": 2.5}, "steps is 2.5"),
    ("between", {"a": [0] * 6, "steps": 3}, "no field 'b'"),
], ids=range(23))
def test_refused_requests(plain, path, sent, words):
    """400 and which field is wrong, what it holds, and what it takes."""
    answer = plain.post(f"/api/{path}", json=sent)
    assert answer.status_code == 400 and re.search(words, answer.json["error"]), answer.json


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b'{"codes": [[NaN, 0, 0, 0, 0, 0]]}',
                                  b'{"codes": [[Infinity, 0, 0, 0, 0, 0]]}', b'{"codes": ' + b"1" * 5000 + b"}",
                                  b"\xff\xfe{"], ids=range(7))
def test_json_that_is_none(plain, text):
    """Neither nested brackets nor numbers without end nor NaN come through."""
    answer = plain.post("/api/decode", data=text, content_type="application/json")
    assert answer.status_code == 400 and answer.json["error"]


@pytest.mark.parametrize("label", [None, -1, 10, 1.0, "1", True, [1], [0] * 10, [0.2] * 10, [-1, 2] + [0] * 8, ["x"] * 10])
def test_classes_out_of_range(labelled, label):
    sent = {**GOOD} if label is None else {**GOOD, "classes": [label]}
    answer = labelled.post("/api/decode", json=sent)
    assert answer.status_code == 400 and "classes" in answer.json["error"]


@pytest.mark.parametrize("file", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture(plain, file):
    """In words, not a trace; PostScript, which other programs would have to run, too."""
    answer = plain.post("/api/encode", data=file, content_type="image/png")
    assert answer.status_code == 400 and "the picture cannot be used: no picture of a kind" in answer.json["error"]


def test_a_bomb_is_not_decoded(plain):
    """A file of some bytes that says it has billions of pixels is refused before any memory is taken."""
    out = io.BytesIO()
    Image.new("L", (16, 16)).save(out, "PNG")
    small = out.getvalue()
    header = small[12:16] + (60_000).to_bytes(4, "big") * 2 + small[24:29]
    bomb = small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    answer = plain.post("/api/encode", data=bomb, content_type="image/png")
    assert answer.status_code == 400 and "million pixels" in answer.json["error"]


def test_other_refusals(plain):
    """Wrong kinds, wrong methods, wrong paths, bodies that are too large: each in JSON with its own code."""
    for answer, code in ((plain.post("/api/decode", data=b"{}", content_type="text/plain"), 415),
                         (plain.post("/api/encode", data=b"x", content_type="text/html"), 415),
                         (plain.get("/api/decode"), 405), (plain.delete("/"), 405), (plain.get("/api/none"), 404),
                         (plain.get("/page/../app.py"), 404), (plain.get("/page/%2e%2e/app.py"), 404),
                         (plain.get("/api/images/30.png"), 400), (plain.get(f"/api/images/{10**19}.png"), 400),
                         (plain.get(f"/api/images/{'9' * 400}.png"), 404), (plain.get(f"/api/images/{'9' * 5000}.png"), 404),
                         (plain.get(f"/api/samples/{2**64}"), 400), (plain.get(f"/api/samples/{'9' * 5000}"), 404),
                         (plain.get("/api/samples/-1"), 404),
                         (plain.post("/api/decode", data=b" " * 2**21, content_type="application/json"), 413),
                         (plain.post("/api/encode", data=bytes(UPLOAD + 1), content_type="image/png"), 413)):
        assert answer.status_code == code and isinstance(answer.json["error"], str)
        assert "Traceback" not in answer.json["error"]


def test_a_bug_leaves_no_trace_in_the_answer(vaes, thread, digits, caplog):
    """What nobody foresaw is a 500 in words; the trace goes to the terminal alone."""
    served = Served(vaes["plain"], digits.test_images, thread)
    client = client_of(served)
    served.decode = lambda *_: 1 / 0
    answer = client.post("/api/decode", json=GOOD)
    assert answer.status_code == 500 and "ZeroDivision" not in answer.json["error"] and "ZeroDivisionError" in caplog.text
    served.decode = lambda *_: (_ for _ in ()).throw(MemoryError)
    assert client.post("/api/decode", json=GOOD).status_code == 503


# ---- whom it does not answer ----

@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "localhost", "localhost:80", "localhost:8124", "",
                                  "127.0.0.1.evil.example:8123", "localhost:8123.evil.example", "[::1]",
                                  "localhost:8123@evil.example", "127.0.0.2:8123"])
def test_foreign_hosts(plain, host):
    """A name that the server was not started for is refused, whatever it is asked: a page cannot rebind its own name."""
    for answer in (plain.get("/", headers={"Host": host}), plain.post("/api/decode", json=GOOD, headers={"Host": host})):
        assert answer.status_code == 403 and "--allow-host" in answer.json["error"]


@pytest.mark.parametrize("host", ["localhost:8123", "LOCALHOST:8123", "127.0.0.1:8123", "[::1]:8123"])
def test_own_hosts(plain, host):
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    answer = plain.post("/api/decode", json=GOOD, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "file://"},
                                     {"Origin": "http://localhost:9999"}, {"Origin": "http://localhost"}, {"Origin": ""},
                                     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                                     {"Origin": "http://localhost:8123", "Sec-Fetch-Site": "cross-site"}])
def test_foreign_origins(plain, headers):
    """Pages from elsewhere can neither send nor embed anything; a link to the page works."""
    for answer in (plain.post("/api/decode", json=GOOD, headers=headers), plain.get("/page/main.js", headers=headers),
                   plain.post("/api/encode", data=b"", headers=headers), plain.get("/api/images/0.png", headers=headers)):
        assert answer.status_code == 403 and "another site" in answer.json["error"]
    assert plain.get("/", headers=headers).status_code == 200


def test_every_answer_has_the_headers(plain):
    """Of the page, of refusals, of failures; and none gives a cookie or lets others in."""
    asks = {"Origin": "http://localhost:8123", "Access-Control-Request-Method": "POST"}
    for answer in (plain.get("/"), plain.get("/nothing"), plain.get("/", headers={"Host": "evil.example"}),
                   plain.get("/page/main.js"), plain.options("/api/decode", headers=asks)):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert not [name for name in answer.headers.keys() if name.startswith(("Set-Cookie", "Access-Control"))]


def test_more_names():
    """Names of --host and --allow-host are answered, with the server's port or their own."""
    guard = Guard("192.168.1.5", 8123, ["box.local", "tunnel:9000", "[fd00::1]", "fd00::2"])
    names = {"192.168.1.5:8123", "box.local:8123", "tunnel:9000", "[fd00::1]:8123", "[fd00::2]:8123"}
    assert names < guard.hosts and not guard.local
    assert guard.objection({"Host": "tunnel:9000", "Origin": "https://tunnel:9000"}, page=False) is None
    assert Guard("127.0.0.1", 80).objection({"Host": "localhost", "Origin": "http://localhost"}, page=False) is None
    assert Guard("0.0.0.0", 8123).hosts == {"localhost:8123", "127.0.0.1:8123", "[::1]:8123"}
    assert Guard("127.0.0.1", 1).local and Guard("::1", 1).local and not Guard("::", 1).local
    for name in ("http://box", "a b", ":80", "box:x", "box:", "a/b", "u@h"):
        with pytest.raises(UsageError, match="--allow-host"):
            Guard("127.0.0.1", 8123, [name])
