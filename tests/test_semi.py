"""Semi-supervised models: their costs in NumPy, finite differences, and what they do with classes."""

import numpy as np
import pytest
from gradients import check_model

from minivae import ops
from minivae.errors import UsageError
from minivae.evaluation import fixed_point
from minivae.models import Weights, build
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.tensor import no_grad

CLASSES = 3
SIZES = {"ff": {"hidden": (9, 7), "code": 4}, "conv": {"channels": (3, 4), "hidden": (6,), "code": 3}}
SHAPES = {"ff": (3, 4, 1), "conv": (4, 4, 1)}


def _model(device, semi="shared", arch="ff", classes=CLASSES, dtype=np.float64, **settings):
    return build(arch, SHAPES[arch], device, **SIZES[arch], classes=classes, semi=semi, dtype=dtype, **settings)


def _batch(device, rng, model, rows=7, labelled=3):
    """Images, examples, and labels of the first rows."""
    labels = np.zeros((rows, CLASSES), model.dtype)
    labels[np.arange(labelled), rng.integers(0, CLASSES, labelled)] = 1
    return (device.from_host(rng.random((rows, model.pixels)).astype(model.dtype)),
            device.from_host(rng.permutation(50)[:rows].astype(np.int32)), device.from_host(labels))


def _trained(device, rng, semi, arch="ff"):
    """A float32 model with fixed-point statistics, and its batch."""
    model = _model(device, semi, arch, dtype=np.float32)
    x, example, _ = _batch(device, rng, model)
    fixed_point.compute(model, lambda: [model.cost(x, example, Noise(1, 1))])
    return model, x


@pytest.mark.parametrize("arch", ["ff", "conv"])
@pytest.mark.parametrize("semi", ["shared", "m2"])
@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
@pytest.mark.parametrize("labelled", [0, 3, 7])
def test_gradient_of_the_whole_cost(device, rng, arch, semi, likelihood, labelled):
    """Finite differences in float64 for batches that are mixed, all labelled and not labelled at all."""
    model = _model(device, semi, arch, likelihood=likelihood)
    x, example, labels = _batch(device, rng, model, labelled=labelled)
    check_model(model, x, example, rng, step=1e-7, labels=labels, weights=Weights(label=3.0, label_kl=0.7))


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_gradient_with_beta_and_free_bits(device, rng, semi):
    model = _model(device, semi)
    x, example, labels = _batch(device, rng, model)
    check_model(model, x, example, rng, step=1e-7, labels=labels, weights=Weights(beta=0.5, free_bits=0.9))


def _layer(device, dense, h, activation):
    """A dense layer in NumPy."""
    u = h @ device.to_host(dense.weight.data)
    u = (u - u.mean(0)) / np.sqrt(u.var(0) + 1e-5)
    return activation(u * device.to_host(dense.norm.gamma.data) + device.to_host(dense.norm.beta.data))


def _softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _features(device, model, x):
    """(features, q(y | x)) of a feed-forward model in NumPy."""
    h = x
    for dense, activation in zip(model.encoder, (lambda u: np.maximum(u, 0), np.tanh), strict=True):
        h = _layer(device, dense, h, activation)
    return h, _softmax(_layer(device, model.classifier, h, lambda u: u))


def _parts(device, model, heads, eps, y, x):
    """(reconstruction, KL) of every row in NumPy."""
    mu, sigma = heads[:, :model.code], np.logaddexp(0, heads[:, model.code:])
    h = np.concatenate([mu + sigma * eps, y], 1)
    *hidden, last = model.decoder
    for dense in hidden:
        h = _layer(device, dense, h, lambda u: np.maximum(u, 0))
    h = _layer(device, last, h, lambda u: np.clip(u, -1, 1))
    return ((x - h) ** 2).sum(1), -0.5 * (1 + 2 * np.log(sigma) - mu**2 - sigma**2).sum(1)


def _by_classes(device, model, x, eps):
    """(reconstruction, KL), (rows, classes) each, of an M2 model: one class and image after the other, but for batch
    norm, which sees all of them."""
    features, _ = _features(device, model, x)
    joined, y, images, noise = [], [], [], []
    for b in range(len(x)):
        for c in range(CLASSES):
            y.append(np.eye(CLASSES)[c])
            joined.append(np.concatenate([features[b], y[-1]]))
            images.append(x[b])
            noise.append(eps[b * CLASSES + c])
    h = _layer(device, model.join, np.array(joined), lambda u: np.maximum(u, 0))
    heads = _layer(device, model.heads, h, lambda u: u)
    return [part.reshape(-1, CLASSES) for part in _parts(device, model, heads, np.array(noise), np.array(y), np.array(images))]


def _reported(device, cost):
    return device.to_host(cost.reconstruction), device.to_host(cost.kl)


def test_cost_of_the_shared_model_is_the_formula(device, rng):
    """Labelled rows get the true class and pay the cross-entropy, the others get the prediction and pay its KL."""
    model, noise, weights = _model(device), Noise(4, 2), Weights(label=2.5, label_kl=0.6)
    x, example, labels = _batch(device, rng, model)
    cost = model.cost(x, example, noise, weights, labels)
    eps = device.to_host(standard_normal(device, 50, model.code, noise, np.float64))[device.to_host(example)]
    x, labels = device.to_host(x), device.to_host(labels)
    features, q = _features(device, model, x)
    known = labels.sum(1)
    y = np.where(known[:, None] > 0, labels, q)
    reconstruction, kl = _parts(device, model, _layer(device, model.heads, features, lambda u: u), eps, y, x)
    for one, two in zip(_reported(device, cost), (reconstruction, kl), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)
    cross_entropy = -(labels * np.log(q)).sum(1)
    uniform = (1 - known) * (np.log(CLASSES) + (q * np.log(q)).sum(1))
    assert cost.total.item() == pytest.approx((reconstruction + kl + 2.5 * cross_entropy + 0.6 * uniform).mean(), rel=1e-12)


def test_without_labels_the_shared_model_costs_what_the_plain_one_does(device, rng):
    """With the weights of the label's inputs at zero and all other parameters the same, cost, reconstruction and KL are
    the plain VAE's; the KL is that of the Gaussian code alone."""
    semi, plain = _model(device), build("ff", SHAPES["ff"], device, **SIZES["ff"], dtype=np.float64)
    x, example, _ = _batch(device, rng, semi)
    first = semi.decoder[0].weight
    weight = device.to_host(first.data)
    weight[semi.code:] = 0
    first.data = device.from_host(weight)
    state = {name: value for name, value in semi.state_dict().items() if not name.startswith("classifier")}
    plain.load_state_dict({**state, "decoder.0.weight": device.from_host(np.ascontiguousarray(weight[:semi.code]))})
    ours, theirs = (model.cost(x, example, Noise(4, 2)) for model in (semi, plain))
    for one, two in zip(_reported(device, ours), _reported(device, theirs), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    assert ours.total.item() == pytest.approx(theirs.total.item(), rel=1e-13)


def test_cost_of_m2_is_the_sum_over_the_classes(device, rng):
    """The batched pass equals a loop over images and classes, and the bound is that of Kingma et al. 2014: eq. 6 with a
    label, eq. 7 without."""
    model, noise = _model(device, "m2"), Noise(4, 2)
    x, example, labels = _batch(device, rng, model)
    cost = model.cost(x, example, noise, Weights(label=2.5), labels)
    every = device.to_host(standard_normal(device, 50 * CLASSES, model.code, noise, np.float64))
    at = device.to_host(example)
    eps = every[(at[:, None] * CLASSES + np.arange(CLASSES)).ravel()]
    x, labels = device.to_host(x), device.to_host(labels)
    _, q = _features(device, model, x)
    reconstruction, kl = _by_classes(device, model, x, eps)
    bounds, cross_entropy = [], []
    for b in range(len(x)):
        bound = reconstruction[b] + kl[b] + np.log(CLASSES)     # -log p(y) = log classes
        if labels[b].any():
            label = labels[b].argmax()
            bounds.append(bound[label])
            cross_entropy.append(-np.log(q[b, label]))
        else:
            bounds.append((q[b] * (bound + np.log(q[b]))).sum())
            cross_entropy.append(0)
    np.testing.assert_allclose(sum(_reported(device, cost)), bounds, rtol=1e-9)
    assert cost.total.item() == pytest.approx(np.mean(bounds) + 2.5 * np.mean(cross_entropy), rel=1e-12)


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_what_is_minimized_and_what_is_reported(device, rng, semi):
    """Weights change the total alone; at M2's own it is the mean of what is reported plus the cross-entropy."""
    model = _model(device, semi)
    x, example, labels = _batch(device, rng, model)
    costs = [model.cost(x, example, Noise(1, 2), weights, labels) for weights in (
        Weights(label=0), Weights(label=2), Weights(label=4), Weights(label=0, beta=0.5), Weights(label=0, label_kl=0.3))]
    for other in costs[1:]:
        for one, two in zip(_reported(device, costs[0]), _reported(device, other), strict=True):
            np.testing.assert_array_equal(one, two)
    totals = [cost.total.item() for cost in costs]
    assert totals[0] == pytest.approx(sum(_reported(device, costs[0])).mean(), rel=1e-12)
    assert totals[2] - totals[1] == pytest.approx(totals[1] - totals[0], rel=1e-9)
    assert len({round(total, 9) for total in totals}) == 5


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_cost_of_distorted_images_is_the_formula(device, rng, semi):
    """What they add: for labelled images the label's cross-entropy, for the others that of the squared, normalized
    prediction for the image itself; what is reported stays."""
    model, noise = _model(device, semi), Noise(4, 2)
    x, example, labels = _batch(device, rng, model)
    plain, weights = Weights(label=2.5), Weights(label=2.5, consistency=0.7, shift=1, mirror=True, erase=2)
    one, two = (model.cost(x, example, noise, w, labels) for w in (plain, weights))
    for a, b in zip(_reported(device, one), _reported(device, two), strict=True):
        np.testing.assert_array_equal(a, b)
    moved = ops.distort(x, example, noise, image_shape=model.image_shape, shift=1, mirror=True, erase=2)
    (_, q), (_, again) = (_features(device, model, device.to_host(images)) for images in (x, moved))
    labels = device.to_host(labels)
    target = 2.5 * labels + 0.7 * (1 - labels.sum(1, keepdims=True)) * q**2 / (q**2).sum(1, keepdims=True)
    assert two.total.item() - one.total.item() == pytest.approx(-(target * np.log(again)).sum(1).mean(), rel=1e-9)


@pytest.mark.parametrize("semi", ["shared", "m2"])
@pytest.mark.parametrize("arch", ["ff", "conv"])
def test_gradient_of_distorted_images(device, rng, semi, arch):
    """Finite differences where all are labelled; elsewhere the targets get no gradient: the gradients are those of the
    rest plus those of the cross-entropy with the targets as plain numbers."""
    model, weights = _model(device, semi, arch), Weights(label=3.0, consistency=0.7, shift=1, mirror=True, erase=2)
    x, example, labels = _batch(device, rng, model, labelled=7)
    check_model(model, x, example, rng, step=1e-7, labels=labels, weights=weights)
    x, example, labels = _batch(device, rng, model)
    noise, parameters = Noise(4, 2), list(model.parameters())

    def gradients(*costs):
        for p in parameters:
            p.clear_grad()
        for cost in costs:
            cost.backward()
        return [device.to_host(p.grad) for p in parameters]

    whole = gradients(model.cost(x, example, noise, weights, labels).total)
    q = device.to_host(ops.softmax(model.classifier(model.encoder(x))).data)**2
    known = device.to_host(labels)
    target = device.from_host(3 * known + 0.7 * (1 - known.sum(1, keepdims=True)) * q / q.sum(1, keepdims=True))
    moved = ops.distort(x, example, noise, image_shape=model.image_shape, shift=1, mirror=True, erase=2)
    parts = gradients(model.cost(x, example, noise, Weights(label=3.0), labels).total,
                      ops.mean(ops.cross_entropy(model.classifier(model.encoder(moved)), target)))
    for one, two in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("arch", ["ff", "conv"])
@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_what_it_is_for(device, rng, semi, arch):
    """Probabilities sum to 1; a sample of a label is that code's picture in the grid; a transfer to the class that an
    image has is its reconstruction."""
    model, x = _trained(device, rng, semi, arch)
    shape, noise = SHAPES[arch], Noise(3, 0, 2)
    q = model.classify(x)
    assert q.shape == (7, CLASSES) and q.min() >= 0
    np.testing.assert_allclose(q.sum(1), 1, rtol=1e-5)
    grid = model.styles(4, noise)
    assert grid.shape == (4, CLASSES, *shape) and 0 <= grid.min() <= grid.max() <= 1
    for label in range(CLASSES):
        np.testing.assert_allclose(model.sample(4, noise, label), grid[:, label], atol=1e-6)
    turns = model.sample(5, noise)
    assert turns.shape == (5, *shape)
    np.testing.assert_allclose(turns[4], model.sample(5, noise, label=4 % CLASSES)[4], atol=1e-6)
    moved, own = model.transfer(x), q.argmax(1)
    assert moved.shape == (7, CLASSES, *shape)
    np.testing.assert_allclose(moved[np.arange(7), own], model.reconstruct(x), atol=1e-6)
    told = (own + 1) % CLASSES
    np.testing.assert_allclose(model.transfer(x, told)[np.arange(7), told], model.reconstruct(x, told), atol=1e-6)


def test_the_class_changes_codes_of_m2_alone(device, rng):
    for semi, same in (("shared", True), ("m2", False)):
        model, x = _trained(device, rng, semi)
        with no_grad():
            codes = [device.to_host(model.encode(x, model.one_hot([label] * 7)).data) for label in (0, 1)]
        assert np.array_equal(*codes) == same


def test_impossible_classes_are_named(device, rng):
    with pytest.raises(UsageError, match="tell 1 classes apart, but a semi-supervised model needs at least 2"):
        _model(device, classes=1)
    with pytest.raises(UsageError, match="unknown semi-supervised model 'm3': take one of shared, m2"):
        _model(device, "m3")
    model, _ = _trained(device, rng, "shared")
    for label in (-1, 3):
        with pytest.raises(UsageError, match=f"label {label} is none of the model's classes 0 to 2"):
            model.sample(2, Noise(0, 0), label)
