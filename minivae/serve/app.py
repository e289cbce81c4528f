"""The paths of the page and of what it asks for: JSON and PNG."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, UnsupportedMediaType
from werkzeug.routing import IntegerConverter

from minivae import __version__, latent
from minivae.errors import MinivaeError, UsageError
from minivae.gpu.errors import gpu_failure
from minivae.pictures import grids
from minivae.serve import guard
from minivae.serve.fields import Fields
from minivae.serve.served import Served

UPLOAD = 32 * 2**20     # bytes of a person's picture
JSON = 2**20            # bytes of any other request, beside 256 for every number of the code
STEPS = 200             # most codes on the way between two
THUMBNAIL = 64          # pixels of the longer side, of pictures beside each other
WORDS = {
    404: "there is nothing here: the page is at /",
    405: "this address takes no such request: see what the page sends",
    413: "the request is too large: send less, of pictures at most 32 MB",
}


class Whole(IntegerConverter):
    """A whole number in a path, of no more digits than a seed has: of thousands Python makes none."""

    regex = r"\d{1,20}"


def create(served: Served, hosts: guard.Guard, name: str) -> Flask:
    """The application.

    Args:
        served: the model.
        hosts: who is answered.
        name: of the run, for people.
    """
    app = Flask("minivae.serve", static_folder="page", static_url_path="/page")
    app.config["MAX_CONTENT_LENGTH"] = UPLOAD
    app.json.compact, app.json.sort_keys = True, False
    app.url_map.converters["whole"] = Whole
    _watch(app, hosts)
    _errors(app)
    _reading(app, served, name)
    _computing(app, served)
    return app


def _watch(app: Flask, hosts: guard.Guard) -> None:
    """Who is not to be answered gets a word of why; every answer has the headers that keep it to this page."""
    @app.before_request
    def refuse():
        words = hosts.objection(request.headers, page=request.path == "/" and request.method in ("GET", "HEAD"))
        return _failure(words, 403) if words else None

    app.after_request(guard.protect)


def _errors(app: Flask) -> None:
    """Every failure is JSON, {"error": words}; only what is a bug leaves a trace, on the terminal alone."""
    @app.errorhandler(MinivaeError)
    def wrong(error):
        return _failure(str(error), 400 if isinstance(error, UsageError) else 500)

    @app.errorhandler(HTTPException)
    def refused(error):
        return _failure(WORDS.get(error.code) or error.description, error.code)

    @app.errorhandler(MemoryError)
    def full(_):
        return _failure("out of memory: ask for fewer pictures at once, or end what else uses it", 503)

    @app.errorhandler(Exception)
    def unforeseen(error):
        if failure := gpu_failure(error):
            return _failure(str(failure), 503)
        app.logger.exception("%s %s failed", request.method, request.path)
        return _failure("this failed in a way that nobody foresaw: the terminal of minivae serve says more", 500)


def _reading(app: Flask, served: Served, name: str) -> None:
    """What there is: the page, the model's facts, images to start from."""
    @app.get("/")
    def page():
        return app.send_static_file("index.html")

    @app.get("/api/model")
    def model():
        settings = served.vae.settings
        return jsonify(
            minivae=__version__, run=name, data=Path(settings.data).name, arch=settings.arch, likelihood=settings.likelihood,
            image_shape=served.image_shape, code=served.code, classes=served.classes,
            class_names=served.vae.model.names_of_classes, images=0 if served.images is None else len(served.images),
            order=served.order.tolist(), variance=[float(f"{v:.4g}") for v in served.variance],
            active=int(latent.is_active(served.variance).sum()), judged_by=served.judged_by, most=served.most,
            upload=UPLOAD)

    @app.get("/api/directions")
    def directions():
        found = served.directions
        return jsonify(**{name: _numbers(part) for name, part in found._asdict().items()})

    @app.get("/api/images/<whole:index>.png")
    def image(index):
        count = 0 if served.images is None else len(served.images)
        if index >= count:
            there = f"take 0 to {count - 1}" if count else "this run has none at hand"
            raise UsageError(f"there is no image {index:.6g}: {there}")
        return _png(served.images[index][np.newaxis], 1)

    @app.get("/api/samples/<whole:seed>")
    def sample(seed):
        if seed >= 2**64:
            raise UsageError("the seed is too large: take one from 0 to 2^64 - 1")
        return jsonify(code=_numbers(served.draw(seed)))


def _computing(app: Flask, served: Served) -> None:
    """What the model makes of codes and pictures that are sent."""
    def fields() -> Fields:
        request.max_content_length = JSON + 256 * served.code
        if not request.is_json:
            raise UnsupportedMediaType("the request is no JSON: send it with Content-Type: application/json")
        return Fields(request.get_data(), served.code, served.classes)

    @app.post("/api/decode")
    def decode():
        sent = fields()
        codes = sent.codes()
        return _png(served.decode(codes, sent.labels(len(codes))), len(codes))

    @app.post("/api/traverse")
    def traverse():
        sent = fields()
        code, label, values, axes = sent.code(), sent.label(), sent.values(), sent.word("axes", ("numbers", "directions"))
        which = sent.indices("which", served.code if axes == "numbers" else len(served.directions.scales))
        served.check_count(len(which) * len(values))
        codes = np.concatenate([served.along(code, axes, index, values) for index in which])
        labels = None if label is None else np.tile(label, (len(codes), 1))
        return _png(served.decode(codes, labels), len(values), THUMBNAIL)

    @app.post("/api/classes")
    def classes():
        code = fields().code()
        if not served.classes:
            raise UsageError("this model knows of no classes: it was trained without labels")
        codes = np.tile(code, (served.classes, 1))
        return _png(served.decode(codes, np.eye(served.classes)), served.classes, THUMBNAIL)

    @app.post("/api/between")
    def between():
        sent = fields()
        way = latent.between(sent.code("a"), sent.code("b"), sent.whole("steps", 2, STEPS), spherical=True)
        return jsonify(codes=_numbers(way))

    @app.post("/api/encode")
    def encode():
        if not (request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream"):
            raise UnsupportedMediaType("the request is no picture: send its bytes with Content-Type: image/png or the like")
        found = served.encode(request.get_data(), invert="invert" in request.args)
        probabilities = None if found.probabilities is None else _numbers(found.probabilities)
        return jsonify(code=_numbers(found.code), probabilities=probabilities, seen=_address(found.seen),
                       reconstruction=_address(found.reconstruction))


def _failure(words: str, code: int) -> tuple[Response, int]:
    return jsonify(error=words), code


def _png(images: np.ndarray, columns: int, side: int | None = None) -> Response:
    """The picture of images (count, height, width, channels) beside each other: pixel for pixel, or, where they are larger
    than `side`, each smaller by a whole number."""
    return Response(_bytes(images, columns, side), mimetype="image/png")


def _bytes(images: np.ndarray, columns: int, side: int | None = None) -> bytes:
    factor, out = max(images.shape[1:3]) // side if side else 1, io.BytesIO()
    shown = _reduced(images, factor) if factor > 1 else images
    grids.grid(shown, columns, gap=0, scale=1).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _reduced(images: np.ndarray, factor: int) -> np.ndarray:
    """The images, each side divided and rounded up, as uint8; one by one, so that none takes from its neighbours."""
    found = np.stack([np.asarray(grids.grid(image[np.newaxis], 1, scale=1).reduce(factor)) for image in images])
    return found.reshape(*found.shape[:3], images.shape[3])


def _address(image: np.ndarray) -> str:
    """An image (height, width, channels) as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(_bytes(image[np.newaxis], 1)).decode()


def _numbers(values: np.ndarray) -> list:
    """An array of numbers as JSON has them."""
    return values.astype(np.float64).tolist()
