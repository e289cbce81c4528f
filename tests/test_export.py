"""Models as ONNX: onnxruntime gives what minivae gives, for every model and any number of images; else none is written."""

import json

import numpy as np
import pytest

from minivae import apply, export, models
from minivae.errors import MinivaeError, UsageError
from minivae.nn import BatchNorm, Dense, Module, batch_norms
from minivae.ops.reparameterize import Noise
from minivae.runs import Settings

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from minivae.export import agreement, graph, layers, networks     # noqa: E402, only where onnx is there

FF, CONV = {"arch": "ff", "hidden": (24, 12), "code": 5}, {"arch": "conv", "channels": (3, 6), "hidden": (16, 10), "code": 4}
MODELS = {
    "ff": (FF, (6, 7, 1)), "ff-deep": ({"arch": "ff", "hidden": (33, 17, 9, 8), "code": 1}, (5, 4, 3)),
    "conv": (CONV, (12, 20, 1)), "conv-one": ({**CONV, "channels": (4,), "hidden": (7,)}, (2, 6, 3)),
    "conv-deep": ({**CONV, "channels": (2, 3, 4)}, (8, 16, 3)),
    "ff-bernoulli": ({**FF, "likelihood": "bernoulli"}, (6, 7, 1)),
    "conv-binarized": ({**CONV, "likelihood": "bernoulli", "binarize": True}, (8, 8, 1)),
    "ff-gaussian": ({**FF, "likelihood": "gaussian"}, (6, 7, 1)),
    "shared": ({**FF, "classes": 3, "semi": "shared"}, (6, 7, 1)),
    "shared-conv": ({**CONV, "classes": 10, "semi": "shared"}, (8, 12, 1)),
    "m2": ({**FF, "classes": 3, "semi": "m2"}, (6, 7, 1)),
    "m2-conv": ({**CONV, "classes": 2, "semi": "m2", "likelihood": "bernoulli"}, (4, 4, 3)),
    "usual": ({"arch": "ff"}, (28, 28, 1)), "usual-conv": ({"arch": "conv"}, (28, 28, 1)),
}


def model_of(sizes, image_shape, device, seed=0):
    """A model with batch norms as training might leave them: no factor 1, no mean 0."""
    rng, model = np.random.default_rng(seed), models.build(image_shape=image_shape, device=device, **sizes)
    for _, norm in batch_norms(model):
        channels = norm.gamma.shape[0]
        gamma, signs = rng.uniform(0.5, 1.5, channels), rng.choice([-1, 1], channels, p=[0.1, 0.9])
        for parameter, values in ((norm.gamma, gamma * signs), (norm.beta, rng.normal(0, 0.3, channels))):
            parameter.data[...] = device.from_host(values.astype(np.float32))
        moments = np.stack([rng.normal(0, 0.3, channels), rng.uniform(0.2, 2, channels)])
        norm.moments = device.from_host(moments.astype(np.float32))
    model.eval()
    return model


def _close(theirs, ours):
    assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def session(made):
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def exported(request):
    """(model, encoder, decoder), on the CPU."""
    from minivae import device as devices
    model = model_of(*request.param, devices.cpu())
    return model, networks.encoder(model, Settings()), networks.decoder(model, Settings())


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_encoder_gives_the_models_codes(exported, count, rng):
    """mu, sigma and the probabilities of classes, of noise: grey, or black and white where the model takes such."""
    model, made, _ = exported
    images = rng.uniform(0, 1, (count, *model.image_shape)).astype(np.float32)
    images = np.rint(images) if model.likelihood.discrete else images
    found = dict(zip([o.name for o in made.graph.output], session(made).run(None, {"images": images}), strict=True))
    mu, sigma = apply.encode(model, images)
    assert found.keys() == {"mu", "sigma"} | ({"probabilities"} if model.classes else set())
    _close(found["mu"], mu)
    _close(found["sigma"], sigma)
    if model.classes:
        _close(found["probabilities"], apply.classify(model, images))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_decoder_gives_the_models_images(exported, count, rng):
    """Under every class, and between classes; within [0, 1]."""
    model, _, made = exported
    codes = rng.standard_normal((count, model.code)).astype(np.float32)
    shares = rng.dirichlet(np.ones(model.classes or 1), count).astype(np.float32)
    inputs = {"codes": codes, **({"classes": shares} if model.classes else {})}
    images, = session(made).run(None, inputs)
    _close(images, apply.decode(model, codes, shares if model.classes else None))
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.01


def test_a_graph_is_as_small_as_it_can_be(exported):
    """Batch norm is in the weights; images are transposed on the way in and on the way out only, reshaped at most twice."""
    model, *both = exported
    for made in both:
        kinds = [node.op_type for node in made.graph.node]
        assert "BatchNormalization" not in kinds and kinds.count("Transpose") <= 2 and kinds.count("Reshape") <= 2
        assert {i for node in made.graph.node for i in node.input} >= {c.name for c in made.graph.initializer}


def test_what_a_file_says_of_itself(cpu):
    """Opset, open first axis, words for every input and output, where it comes from."""
    made = networks.encoder(model_of(*MODELS["m2"], cpu), Settings(data="clothes"))
    assert [(o.domain, o.version) for o in made.opset_import] == [("", 17)] and made.ir_version == 8
    assert made.producer_name == "minivae" and all(v.doc_string for v in (*made.graph.input, *made.graph.output))
    assert graph.signature(made) == "images (count, 6, 7, 1) -> mu (count, 5), sigma (count, 5), probabilities (count, 3)"
    facts = {p.key: p.value for p in made.metadata_props}
    assert facts["data"] == "clothes" and json.loads(facts["image_shape"]) == [6, 7, 1] and facts["classes"] == "3"


def test_bounds_are_numbers(exported):
    """Clip takes its least and most as numbers, without any axis, as the operator's definition wants them."""
    for made in exported[1:]:
        held = {constant.name: constant for constant in made.graph.initializer}
        clips = [node for node in made.graph.node if node.op_type == "Clip"]
        assert all(len(node.input) == 3 and not held[bound].dims for node in clips for bound in node.input[1:])
    assert any(node.op_type in ("Clip", "Sigmoid") for node in exported[2].graph.node)


def test_no_images_at_all(cpu):
    """The first axis may be 0."""
    model = model_of(*MODELS["conv"], cpu)
    images, = session(networks.decoder(model, Settings())).run(None, {"codes": np.zeros((0, 4), np.float32)})
    assert images.shape == (0, 12, 20, 1)


def test_export_writes_both_and_says_how_well_they_agree(cpu, tmp_path):
    for name in ("conv-binarized", "m2"):
        model = model_of(*MODELS[name], cpu)
        found = export.export(model, Settings(), tmp_path / name)
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["decoder.onnx", "encoder.onnx"] and found.opset == 17
        assert found.runtime == f"onnxruntime {onnxruntime.__version__}" and 0 <= max(found.differences.values()) < 1e-5
        assert found.differences.keys() == {"images", "mu", "sigma"} | ({"probabilities"} if name == "m2" else set())
        onnx.checker.check_model(str(tmp_path / name / "encoder.onnx"), full_check=True)
    with pytest.raises(UsageError, match="already holds other files"):
        export.export(model, Settings(), tmp_path / "m2")


@pytest.mark.parametrize("part", ["encoder.0", "join", "classifier", "decoder.1"])
def test_a_graph_that_is_not_the_model_is_found(cpu, tmp_path, part):
    """Weights that are off by a hundredth once the graph is made."""
    model = model_of(*MODELS["m2"], cpu)
    graphs = {"encoder": networks.encoder(model, Settings()), "decoder": networks.decoder(model, Settings())}
    assert max(agreement.compare(model, graphs)[1].values()) < 1e-5
    weight = dict(model.named_parameters())[f"{part}.weight"].data
    weight += np.float32(0.01)
    with pytest.raises(MinivaeError, match="differ from minivae's own by up to .*nothing was written"):
        agreement.compare(model, graphs)


def test_classes_that_are_almost_as_probable(cpu):
    """Codes are compared where both take the same class; the probabilities always."""
    ours = {"probabilities": np.array([[0.5, 0.49999], [0.9, 0.1]]), "mu": np.array([[1.0], [2.0]])}
    theirs = {"probabilities": np.array([[0.49999, 0.5], [0.9, 0.1]]), "mu": np.array([[7.0], [2.0]])}
    assert agreement._of_one_class(theirs, ours).tolist() == [False, True]
    assert agreement._of_one_class(ours, {"images": 0}) == slice(None)


def test_without_onnxruntime_it_says_that_it_is_not_compared(cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "installed", lambda package: package == "onnx")
    found = export.export(model_of(*MODELS["ff"], cpu), Settings(), tmp_path / "x")
    assert (found.runtime, found.differences) == (None, None) and (tmp_path / "x/decoder.onnx").exists()


def test_without_onnx_the_command_that_installs_it_is_named(cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "installed", lambda package: False)
    with pytest.raises(MinivaeError, match="writing ONNX needs the package onnx: .*pip install onnx onnxruntime"):
        export.export(model_of(*MODELS["ff"], cpu), Settings(), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(cpu, rng):
    class Odd(Module):
        pass

    with pytest.raises(MinivaeError, match="layers of the kind Odd have no form in ONNX"):
        layers.emit(Odd(), graph.Graph("x", {"x": (1,)}), "x")
    with pytest.raises(MinivaeError, match="no fixed-point statistics yet: export a trained model"):
        layers.emit(Dense(2, 3, "relu", rng, cpu), graph.Graph("x", {"x": (2,)}), "x")
    with pytest.raises(MinivaeError, match="a model of float64 is not exported"):
        networks.encoder(models.build("ff", (2, 2, 1), cpu, hidden=(2,), code=1, dtype=np.float64), Settings())
    assert BatchNorm(3, cpu).moments is None


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "hard_tanh", "softplus", "sigmoid"])
def test_every_activation(cpu, rng, activation):
    """Where it bends and where it is flat."""
    layer = Dense(3, 40, activation, rng, cpu)
    layer.norm.moments = cpu.from_host(np.stack([np.zeros(40), np.ones(40)]).astype(np.float32))
    layer.eval()
    x = (rng.standard_normal((7, 3)) * 10).astype(np.float32)
    made = graph.Graph("x", {"x": (3,)})
    y = layers.emit(layer, made, "x")
    ours, theirs = layer(x).data, session(made.model({y: (40,)}, {}, {"x": "", y: ""})).run(None, {"x": x})[0]
    np.testing.assert_allclose(theirs, cpu.to_host(ours), atol=1e-5)


def test_codes_go_there_and_back(device):
    """The two files alone: an image's reconstruction is minivae's, under its most probable class; from any device."""
    model = model_of(*MODELS["m2-conv"], device)
    images = model.sample(8, Noise(0, 0))
    mu, probabilities = session(networks.encoder(model, Settings())).run(["mu", "probabilities"], {"images": images})
    again, = session(networks.decoder(model, Settings())).run(
        None, {"codes": mu, "classes": np.eye(2, dtype=np.float32)[probabilities.argmax(1)]})
    np.testing.assert_allclose(again, apply.reconstruct(model, images)[1], atol=1e-4)
