"""Whatever is sent to the page's server, it answers in its own words: no failure of its own, no page of an error's trace."""

import io
import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from served import digits, labelled, plain, thread, vaes  # noqa: F401

PATHS = ("decode", "traverse", "classes", "between", "encode")
KINDS = ("image/png", "application/json", "text/html", "text/javascript", "text/css", "image/svg+xml")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
HEADERS = ("Host", "Origin", "Sec-Fetch-Site", "Content-Length", "Transfer-Encoding", "Range", "If-None-Match",
           "If-Modified-Since", "Cookie", "X-Forwarded-Host")
OWN = ("localhost:8123", "127.0.0.1:8123", "[::1]:8123")
FUZZ = settings(max_examples=200, deadline=None, derandomize=True, database=None,
                suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

numbers = st.one_of(st.integers(), st.floats(), st.floats(-5, 5), st.booleans(), st.none(),
                    st.sampled_from([10**400, -1, 0, 1, 5, 6]))
codes = st.one_of(st.lists(st.floats(-5, 5), min_size=6, max_size=6), st.lists(numbers, max_size=8))
anything = st.recursive(st.one_of(numbers, st.text(max_size=8)),
                        lambda inner: st.one_of(st.lists(inner, max_size=6),
                                                st.dictionaries(st.text(max_size=6), inner, max_size=4)), max_leaves=12)
FIELDS = {"codes": st.lists(codes, max_size=3), "code": codes, "a": codes, "b": codes, "class": numbers,
          "classes": st.lists(numbers, max_size=3), "axes": st.sampled_from(["numbers", "directions", "", "x"]),
          "which": st.lists(numbers, max_size=4), "values": st.lists(numbers, max_size=4), "steps": numbers}
requests = st.fixed_dictionaries({}, optional={name: st.one_of(kind, kind, anything) for name, kind in FIELDS.items()})


def check(answer):
    """An answer of its own: what was asked for, or a refusal in words."""
    assert answer.status_code < 500, answer.get_data(as_text=True)
    if answer.status_code == 200:
        assert answer.mimetype in KINDS
        if answer.mimetype == "application/json":
            json.loads(answer.data, parse_constant=pytest.fail)     # neither NaN nor Infinity, which JSON does not have
    elif answer.status_code != 308:
        words = answer.json["error"]
        assert words and "\n" not in words and "Traceback" not in words and len(words) < 400


@FUZZ
@given(path=st.sampled_from(PATHS), sent=st.one_of(requests, anything), kind=st.booleans())
def test_requests_of_all_kinds(plain, labelled, path, sent, kind):
    check((plain if kind else labelled).post(f"/api/{path}", json=sent))


@FUZZ
@given(path=st.sampled_from(PATHS), body=st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)),
       kind=st.sampled_from(["application/json", "image/png", "text/plain", "", "application/json; charset=utf-16", "a; b"]))
def test_bodies_that_are_none(plain, path, body, kind):
    check(plain.post(f"/api/{path}", data=body, content_type=kind))


def files():
    """One of every format."""
    for format in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        out = io.BytesIO()
        Image.linear_gradient("L").resize((40, 30)).save(out, format)
        yield out.getvalue()


@FUZZ
@given(file=st.sampled_from(list(files())),
       places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=12),
       end=st.one_of(st.none(), st.integers(0, 2000)))
def test_pictures_that_are_damaged(plain, file, places, end):
    """Bytes flipped, mostly in the header, and cut short."""
    damaged = bytearray(file)
    for place, value in places:
        damaged[place % min(len(damaged), 10 + place % len(damaged))] = value
    check(plain.post("/api/encode", data=bytes(damaged[:end]), content_type="image/png"))


@FUZZ
@given(path=st.text(st.characters(codec="utf-8"), max_size=30), method=st.sampled_from(METHODS),
       under=st.sampled_from(["/", "/api/", "/api/images/", "/api/samples/", "/page/"]),
       query=st.text(st.characters(codec="utf-8"), max_size=8))
def test_paths(plain, path, method, under, query):
    answer = plain.open(under + quote(path), method=method, query_string={"q": query})
    if method in ("HEAD", "OPTIONS"):
        assert answer.status_code < 500
    else:
        check(answer)


@FUZZ
@given(headers=st.fixed_dictionaries({}, optional={
    name: st.one_of(st.sampled_from(OWN), st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
    for name in HEADERS}))
def test_headers(plain, headers):
    """None of them makes it fail; a host or an origin of somebody else is never answered."""
    answer = plain.get("/api/model", headers=headers)
    check(answer)
    if answer.status_code == 200:
        assert headers.get("Host", OWN[0]).lower() in OWN
        assert "Origin" not in headers or headers["Origin"].lower().endswith("8123")
