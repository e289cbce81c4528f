"""Times the importance-sampled likelihood of a model beside its matrix products alone, on some images, and says what it
would take for all; and compares a few images with NumPy in float64.

    python bench/importance.py [--images N] [--samples K] [--all N] [--rounds N] [--hidden SIZES] [--code N]

The weights are untrained: they change no time. Both parts take turns in one process; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402

from minivae import data, kernels, trace  # noqa: E402
from minivae.bench import iterations  # noqa: E402
from minivae.bench.replay import Products  # noqa: E402
from minivae.bench.timing import Part, spread, time_all  # noqa: E402
from minivae.device import select  # noqa: E402
from minivae.evaluation import evaluate, importance  # noqa: E402
from minivae.models import build  # noqa: E402
from minivae.ops.batch import DeviceImages  # noqa: E402
from minivae.ops.reparameterize import EVALUATE, IMPORTANCE, Noise, standard_normal  # noqa: E402

CHECKED = 200       # samples of an image in the comparison with NumPy


def in_numpy(model, images: DeviceImages, seed: int, count: int) -> np.ndarray:
    """-log p(x) of the first images from CHECKED samples each, in float64 on the host, for a Bernoulli and dense layers."""
    host = model.device.to_host
    x, _ = images.batch(0, count, Noise(seed, 0, EVALUATE))
    mu, rho = np.split(host(model.encode(x).data).astype(np.float64), 2, 1)
    sigma, x, found = np.logaddexp(0, rho), host(x).astype(np.float64), []
    for s in range(CHECKED):
        eps = host(standard_normal(model.device, count, model.code, Noise(seed, s, IMPORTANCE))).astype(np.float64)
        h = z = mu + sigma * eps
        for layer in model.decoder:
            h, norm = h @ host(layer.weight.data).astype(np.float64), layer.norm
            mean, variance = host(norm.moments).astype(np.float64)
            h = (h - mean) / np.sqrt(variance + 1e-5) * host(norm.gamma.data) + host(norm.beta.data)
            h = np.maximum(h, 0) if norm.activation == "relu" else h
        found.append(-(np.logaddexp(0, h) - x * h).sum(1) + (0.5 * (eps**2 - z**2) + np.log(sigma)).sum(1))
    w = np.array(found)
    return -(w.max(0) + np.log(np.exp(w - w.max(0)).mean(0)))


def main() -> None:
    """Print the comparison, the times, and where they go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10, help="in one timed step")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--all", type=int, default=10_000, help="images to extrapolate to")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--hidden", default="300,300")
    parser.add_argument("--code", type=int, default=40)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    device, dataset = select(chosen.device)[0], data.load(chosen.data)
    kernels.prepare(device)
    model = build("ff", dataset.image_shape, device, hidden=tuple(map(int, chosen.hidden.split(","))), code=chosen.code,
                  likelihood="bernoulli", binarize=True)
    evaluate.fix_statistics(model, DeviceImages(dataset.train_images[:2000], device, binarize=True))
    images = DeviceImages(dataset.test_images, device, binarize=True)
    print(device.describe())

    here = importance.estimate(model, images, CHECKED, seed=1, limit=5).nll
    there = in_numpy(model, images, 1, 5)
    print(f"5 images x {CHECKED} samples beside NumPy in float64: at most {np.abs(here - there).max():.1e} nats apart of "
          f"{there.mean():.1f}")

    def step():
        importance.estimate(model, images, chosen.samples, limit=chosen.images)

    step()
    with trace.recording() as record:
        step()
    whole = Part("whole", step, device=device)
    products = Part("products", Products(record.products, device).step, device=device)
    time_all([whole, products], chosen.rounds)
    ms, share = spread(whole.ms), spread(products.ms / whole.ms)
    gflop = sum(p.flops for p in record.products) / 1e9
    print(f"{chosen.images} images x {chosen.samples} samples: {ms['median']:.0f} ms ({ms['p10']:.0f} - {ms['p90']:.0f}); "
          f"products alone {np.median(products.ms):.0f} ms, {share['median']:.0%} ({share['p10']:.0%} - "
          f"{share['p90']:.0%}) of it, {gflop / np.median(products.ms) * 1e3:.0f} GFLOP/s")
    print(f"extrapolated to {chosen.all} images: {ms['median'] / chosen.images * chosen.all / 1e3:.0f} s")
    profile = iterations.profile(step, device, 3)
    for row in profile["rows"]:
        print(f"  {row['operation']:20} {row['ms']:8.1f} ms {row['ms'] / profile['ms']:6.1%}")
    print(f"  {'outside':20} {profile['outside_ms']:8.1f} ms {profile['outside_ms'] / profile['ms']:6.1%}")


if __name__ == "__main__":
    main()
