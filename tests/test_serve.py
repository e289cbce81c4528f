"""The server of the page: what it answers is what the library gives."""

import base64
import copy
import io
import re

import numpy as np
import pytest
from PIL import Image
from served import client_of, digits, labelled, plain, thread, vaes  # noqa: F401

from minivae import apply
from minivae.data import picture
from minivae.errors import MinivaeError
from minivae.estimator import VAE
from minivae.pictures import grids
from minivae.serve.served import Served


def array(file):
    return np.asarray(Image.open(io.BytesIO(file)))


def pixels(answer):
    """The picture of an answer, uint8 (height, width)."""
    assert answer.status_code == 200 and answer.mimetype == "image/png", answer.get_data(as_text=True)
    return array(answer.data)


def encoded(client, image, how=""):
    answer = client.post(f"/api/encode{how}", data=image, content_type="image/png")
    assert answer.status_code == 200, answer.json
    return answer.json


def test_facts(plain, labelled, vaes, digits):
    """Shapes, classes, and the numbers in the order of how the codes of the test images vary."""
    facts = plain.get("/api/model").json
    mu = vaes["plain"].encode(digits.test_images)
    assert facts["order"] == np.argsort(-mu.astype(float).var(0), kind="stable").tolist()
    assert (facts["code"], facts["classes"], facts["image_shape"], facts["images"]) == (6, 0, [28, 28, 1], 30)
    assert facts["judged_by"] == "30 test images" and facts["run"] == "plain"
    assert labelled.get("/api/model").json["classes"] == 10


def test_a_decoded_code_is_the_librarys(plain, labelled, vaes):
    """Pixel for pixel, of one code and of some beside each other, under the classes that are given."""
    codes = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    for client, kind, label in ((plain, "plain", None), (labelled, "labelled", [7, 1, 1])):
        sent = {} if label is None else {"classes": label}
        found, vae = pixels(client.post("/api/decode", json={"codes": codes.tolist(), **sent})), vaes[kind]
        assert np.array_equal(found, np.asarray(grids.grid(vae.decode(codes, label), 3, gap=0, scale=1)))


def test_shares_of_classes(labelled, vaes):
    """A code may be of several classes; all of one is that class."""
    shares, whole = np.zeros(10), np.zeros(10)
    shares[[2, 7]], whole[4] = 0.5, 1
    code = np.linspace(-1, 1, 6).astype(np.float32)
    found = pixels(labelled.post("/api/decode", json={"codes": [code.tolist()] * 3,
                                                      "classes": [shares.tolist(), whole.tolist(), 4]}))
    expected = apply.decode(vaes["labelled"].model, code[np.newaxis], shares[np.newaxis])[0, ..., 0]
    assert np.abs(found[:, :28] - 255 * expected).max() <= 1 and np.array_equal(found[:, 28:56], found[:, 56:])


def test_names_of_classes(labelled, vaes, monkeypatch):
    """The model's own, where it knows them; else the numbers."""
    names = [f"kind {i}" for i in range(10)]
    for given, known in (((), list("0123456789")), (tuple(names), names)):
        monkeypatch.setattr(vaes["labelled"].model, "class_names", given)
        assert labelled.get("/api/model").json["class_names"] == known


def test_an_image_is_encoded_as_the_library_does(labelled, vaes, digits):
    """A test image that comes back from the server as a picture has the code and the probabilities that the library gives;
    decoding the code under its class is the reconstruction."""
    image, vae = digits.test_images[4:5], vaes["labelled"]
    file = labelled.get("/api/images/4.png")
    assert np.array_equal(pixels(file), image[0, ..., 0])
    found = encoded(labelled, file.data)
    assert np.allclose(found["code"], vae.encode(image)[0], atol=1e-6)
    assert np.allclose(found["probabilities"], vae.classify(image, probabilities=True)[0], atol=1e-6)
    label = int(np.argmax(found["probabilities"]))
    decoded = labelled.post("/api/decode", json={"codes": [found["code"]], "classes": [label]}).data
    again = base64.b64decode(found["reconstruction"].removeprefix("data:image/png;base64,"))
    assert np.abs(array(again).astype(int) - array(decoded)).max() <= 1


def test_own_pictures(plain, vaes):
    """Of any size and kind, brought to the model's as in its training; light and dark swapped where that is asked for."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((90, 60)).convert("RGBA").save(out, "PNG")
    image = picture.decode(io.BytesIO(out.getvalue()), (28, 28, 1), "crop")
    for how, expected in (("", image), ("?invert", 255 - image)):
        found = encoded(plain, out.getvalue(), how)
        assert found["code"] == pytest.approx(vaes["plain"].encode(expected[np.newaxis])[0], abs=1e-6)
        assert np.abs(array(base64.b64decode(found["seen"].split(",")[1])) - expected[..., 0].astype(int)).max() <= 1


def test_films(plain, labelled, vaes):
    """A film has a row a number or direction, a frame a value: each is the picture of the code with that number set, or
    moved along that direction; of the classes it has a frame each."""
    code, values = np.linspace(-1, 1, 6), [-2.0, 0.0, 3.0]
    asked = {"code": code.tolist(), "values": values}
    film = pixels(plain.post("/api/traverse", json={**asked, "axes": "numbers", "which": [5, 0]}))
    for row, unit in enumerate([5, 0]):
        for column, value in enumerate(values):
            moved = code.copy()
            moved[unit] = value
            expected = pixels(plain.post("/api/decode", json={"codes": [moved.tolist()]}))
            frame = film[28 * row:28 * row + 28, 28 * column:28 * column + 28]
            assert np.abs(frame.astype(int) - expected).max() <= 1
    known = plain.get("/api/directions").json
    film = pixels(plain.post("/api/traverse", json={**asked, "axes": "directions", "which": [1]}))
    centre, vector, scale = np.array(known["centre"]), np.array(known["vectors"][1]), known["scales"][1]
    moved = code + (3.0 * scale - (code - centre) @ vector) * vector
    expected = pixels(plain.post("/api/decode", json={"codes": [moved.tolist()]}))
    assert np.abs(film[:, 56:].astype(int) - expected).max() <= 1
    film = pixels(labelled.post("/api/classes", json={"code": code.tolist()}))
    expected = pixels(labelled.post("/api/decode", json={"codes": [code.tolist()], "classes": [9]}))
    assert film.shape == (28, 280) and np.abs(film[:, 252:].astype(int) - expected).max() <= 1


def test_samples_are_those_of_the_library(plain, vaes):
    """The seed that the page names gives the same picture from Python."""
    code = plain.get("/api/samples/123").json["code"]
    assert np.allclose(vaes["plain"].decode([code]), vaes["plain"].sample(1, seed=123), atol=1e-6)
    assert code != plain.get("/api/samples/124").json["code"]


def test_the_way_between_two(plain):
    """Begins and ends at the two codes."""
    a, b = [1.0, 0, 0, 0, 0, 0], [0, 2.0, 0, 0, 0, 0]
    way = np.array(plain.post("/api/between", json={"a": a, "b": b, "steps": 5}).json["codes"])
    assert way.shape == (5, 6) and np.allclose(way[[0, -1]], [a, b], atol=1e-6)


def test_without_images(vaes, thread):
    """The numbers are put in order by samples, which is said; an image is a refusal in words."""
    client = client_of(Served(vaes["plain"], None, thread))
    facts = client.get("/api/model").json
    assert facts["images"] == 0 and facts["judged_by"] == "256 samples of its own, encoded again"
    assert sorted(facts["order"]) == list(range(6))
    assert "none at hand" in client.get("/api/images/0.png").json["error"]


def test_the_page_and_its_parts(plain):
    """All that the page names is there, of the right kind, and nothing of it is from elsewhere."""
    text = plain.get("/").get_data(as_text=True)
    assert plain.get("/").mimetype == "text/html" and "http" not in text.replace('http-equiv', "")
    asked = re.findall(r'(?:href|src)="(/[^"]+)"', text)
    assert len(asked) >= 3
    scripts = {"/page/main.js"}
    while scripts - set(asked):
        asked += (scripts - set(asked))
    for path in asked:
        answer = plain.get(path)
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[path.rsplit(".", 1)[1]]
        assert (answer.status_code, answer.mimetype) == (200, kind)
        found = re.findall(r'from "\./(\w+\.js)"', answer.get_data(as_text=True))
        asked += [f"/page/{name}" for name in found if f"/page/{name}" not in asked]
    assert len(asked) > 6


def test_films_of_large_images(thread):
    """Are smaller by a whole number, the picture itself is not; in colour and in any proportions. Sides that the number does
    not divide are rounded up, and no frame takes anything from its neighbours."""
    images = np.random.default_rng(0).integers(0, 256, (20, 131, 71, 3), np.uint8)
    vae = thread(lambda: VAE(hidden=(4,), code=2, epochs=1, batch_size=10, device="cpu").fit(images, progress=False))
    client = client_of(Served(vae, images, thread))
    asked = {"code": [0, 0], "axes": "numbers", "which": [1, 0], "values": [-1, 0, 1]}
    film = pixels(client.post("/api/traverse", json=asked))
    assert film.shape == (2 * 66, 3 * 36, 3)
    whole = client.post("/api/decode", json={"codes": [[0, -1]]})
    assert pixels(whole).shape == (131, 71, 3)
    alone = np.asarray(Image.open(io.BytesIO(whole.data)).reduce(2))
    assert np.abs(film[:66, :36].astype(int) - alone).max() <= 1
    assert encoded(client, client.get("/api/images/3.png").data)["code"] == pytest.approx(vae.encode(images[3:4])[0])


def test_a_model_that_went_wrong(vaes, digits, thread):
    """Codes that are not numbers are said before anything is served."""
    vae = copy.copy(vaes["plain"])
    vae.encode = lambda images: np.full((len(images), 6), np.nan, np.float32)
    with pytest.raises(MinivaeError, match="not finite"):
        Served(vae, digits.test_images, thread)
