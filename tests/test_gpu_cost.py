"""What a training step launches on a GPU, from the real CUDA branch over a recorder: no more than was promised."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def bench(monkeypatch):
    """Modules beside the package, for measuring."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "bench"))
    import gpu_cost
    import recorder
    return gpu_cost, recorder


@pytest.mark.parametrize(("arch", "most", "gflop"), [("ff", 52, (10.49, 10.51)), ("conv", 75, (10, 19.54))])
def test_launches_of_a_step(bench, arch, most, gflop):
    """All of them: own kernels, products, CuPy's copies and fills; and the bytes that the sizes of a step say."""
    gpu_cost, _ = bench
    made = gpu_cost.launches(arch)
    count = Counter(launch.kernel for launch in made)
    assert len(made) <= most and count["rmsprop_nesterov"] == 1 and count[gpu_cost.PRODUCTS] >= 16
    assert gflop[0] < sum(launch.flops for launch in made) / 1e9 < gflop[1]     # a convolution may be made with fewer
    update = next(launch for launch in made if launch.kernel == "rmsprop_nesterov")
    assert update.read / update.written == pytest.approx(5 / 4, rel=1e-3)      # 36 bytes a parameter
    batch = next(launch for launch in made if launch.kernel == "gather_batch")
    assert batch.written == {"ff": 1000, "conv": 128}[arch] * (784 + 1) * 4
    lines = gpu_cost.table(made, markdown=True).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and lines[-1].startswith(f"| all | {len(made)} |")
    assert sum(int(line.split("|")[2]) for line in lines[2:-1]) == len(made)


def test_time_of_a_launch(bench):
    """The longest of the three."""
    gpu_cost, _ = bench
    gpu = gpu_cost.Gpu("any", bandwidth=1e12, float32=1e13, tf32=1e14)
    assert gpu_cost.Launch("small", 10, 10, 10).seconds(gpu) == 3e-6
    assert gpu_cost.Launch("bytes", 10**7, 10**7, 10).seconds(gpu) == pytest.approx(20e-6)
    large = gpu_cost.Launch("products", 10, 10, 10**9)
    assert (large.seconds(gpu), large.seconds(gpu, tf32=True)) == (pytest.approx(1e-4), pytest.approx(1e-5))


def test_what_cupy_launches_of_its_own(bench):
    """Copies of what cannot be viewed or multiplied as it lies, fills and sums; views and products by themselves nothing."""
    _, recorder = bench
    with recorder.in_cupys_place() as (device, log):
        a = device.empty((16, 8, 4), np.float32)
        assert a.T.shape == (4, 8, 16) and a.reshape(128, 4).T.flags.f_contiguous and len(a[2:]) == 14 and log == []
        device.matmul(a.reshape(128, 4).T, a.reshape(128, 4))
        device.matmul(a, device.empty((16, 4, 2), np.float32))
        assert log == []
        device.matmul(a.transpose(0, 2, 1), a)
        assert log.pop() == ("cupy copy", a.nbytes, a.nbytes) and log == []
        device.matmul(a[0], a[0].T, out=device.empty((8, 8), np.float32), accumulate=True)
        assert log.pop() == ("cupy add", 512, 256) and log == []
        a[...] = a
        a[...] = 0
        a.transpose(2, 0, 1).reshape(-1)
        a.copy()
        device.zeros((2,), np.float32)
        assert [launch.name for launch in log] == ["cupy copy", "cupy fill", "cupy copy", "cupy copy", "cupy fill"]
