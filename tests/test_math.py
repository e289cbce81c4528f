"""The vectorized functions of math.cuh against NumPy in float64, through a kernel file of the test's own."""

import ctypes

import numpy as np
import pytest

from minivae import kernels
from minivae.host import compiler

FUNCTIONS = {   # name in math.cuh: (NumPy's, smallest, largest argument, largest error in units of the last place)
    "exp_": (np.exp, -87.0, 88.7, 2),
    "log_": (np.log, 1.2e-38, 3e38, 2),
    "log1p_": (np.log1p, 0.0, 1.0, 2),
    "tanh_": (np.tanh, -20.0, 20.0, 3),
    "sigmoid_": (lambda x: 1 / (1 + np.exp(-x)), -80.0, 80.0, 4),
    "softplus_": (lambda x: np.logaddexp(0, x), -80.0, 80.0, 4),
}


@pytest.fixture(scope="module")
def functions():
    """Each function over an array of float32, compiled as kernels are."""
    body = "".join(f'extern "C" void map_{name}(const float* x, float* y, long n)'
                   f"{{ for (long i = 0; i < n; ++i) y[i] = {name}(x[i]); }}\n" for name in FUNCTIONS)
    body += ('extern "C" void map_sincos(const float* t, float* y, long n)'
             "{ for (long i = 0; i < n; ++i) { Pair p = sincos_turns(t[i]); y[2 * i] = p.first; y[2 * i + 1] = p.second; } }")
    library = compiler.load(compiler.build("test_math", kernels.source("arithmetic") + body))

    def call(name, x, width=1):
        x, y = np.ascontiguousarray(x, np.float32), np.empty(len(x) * width, np.float32)
        getattr(library, f"map_{name}")(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p),
                                        ctypes.c_long(len(x)))
        return y
    return call


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_units_of_the_last_place(functions, rng, name):
    """A hundred thousand arguments over the range, evenly and by magnitude."""
    exact, low, high, most = FUNCTIONS[name]
    x = rng.uniform(low, high, 50_000)
    small = np.exp(rng.uniform(np.log(max(low, 1e-30)), np.log(high), 50_000))
    x = np.concatenate([x, small, -small if low < 0 else small, [low, high]]).astype(np.float32)
    x = x[(x >= low) & (x <= high)]
    got, want = functions(name, x).astype(np.float64), exact(x.astype(np.float64))
    ulp = np.spacing(np.maximum(np.abs(want), 1.2e-38).astype(np.float32)).astype(np.float64)
    assert (np.abs(got - want) / ulp).max() <= most


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(functions, name):
    assert np.isnan(functions(name, np.full(40, np.nan))).all()


def test_edges(functions):
    """Infinities, zero and overflow come out as in the C library."""
    inf = np.inf
    np.testing.assert_array_equal(functions("exp_", [-inf, -200, 89, 1e30, inf, 0]), np.float32([0, 0, inf, inf, inf, 1]))
    np.testing.assert_array_equal(functions("log_", [0, inf, 1]), np.float32([-inf, inf, 0]))
    assert np.isnan(functions("log_", [-1.0])).all()
    np.testing.assert_array_equal(functions("tanh_", [-inf, -50, 0, 50, inf]), np.float32([-1, -1, 0, 1, 1]))
    np.testing.assert_array_equal(functions("sigmoid_", [-inf, 0, inf]), np.float32([0, 0.5, 1]))
    np.testing.assert_array_equal(functions("softplus_", [-inf, inf]), np.float32([0, inf]))


def test_sine_and_cosine_of_turns(functions, rng):
    """Absolute error below 1.2e-7 over a whole turn, both ends included."""
    t = np.concatenate([rng.uniform(0, 1, 100_000), np.arange(9) / 8]).astype(np.float32)
    got = functions("sincos", t, 2).reshape(-1, 2)
    angle = 2 * np.pi * t.astype(np.float64)
    np.testing.assert_allclose(got, np.stack([np.sin(angle), np.cos(angle)], 1), atol=1.2e-7)
