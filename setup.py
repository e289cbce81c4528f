"""Packaging. kernels/ is installed as the package's data, so that an installed minivae finds its sources."""

import re
from pathlib import Path

from setuptools import find_packages, setup

VERSION = re.search(r'__version__ = "(.+)"', (Path(__file__).parent / "minivae" / "__init__.py").read_text())[1]

ONNX = [
    "onnx>=1.15",           # writes models for other programs
    "onnxruntime>=1.16",    # runs them, to see that they are right
]
TEST = [
    "pytest>=8",            # runs the tests
    "pytest-xdist>=3.5",    # on all processors
    "tensorboardX>=2.6",    # event files, written and read back
    "hypothesis>=6.100",    # feeds the readers what nobody thought of
    "mpi4py>=4",            # trainings of several processes
    "mpich>=4.2",           # an MPI for them, where the machine has none
    *ONNX,                  # runs what `minivae export` writes
    "playwright>=1.50",     # opens pages in the Chromium that is installed
]

setup(
    name="minivae",
    version=VERSION,
    description="Variational autoencoders from scratch: own autodiff, own CUDA kernels, fast on a GPU and on a CPU",
    python_requires=">=3.11",
    packages=[*find_packages(include=["minivae", "minivae.*"]), "minivae.digits", "minivae._kernels", "minivae._kernels.host"],
    package_dir={"minivae._kernels": "kernels", "minivae._kernels.host": "kernels/host"},
    package_data={"minivae.digits": ["*.gz", "*.md"], "minivae._kernels": ["*.cu", "*.cuh"],
                  "minivae._kernels.host": ["*.cpp", "*.h"], "minivae.page": ["*.jinja", "*.css"],
                  "minivae.serve": ["page/*"]},
    install_requires=[
        "numpy>=1.26",          # arrays on the CPU
        "click>=8.1",           # the command line
        "rich>=13",             # progress bars and tables
        "pillow>=11",           # pictures
        "safetensors>=0.4",     # checkpoints that cannot run code
        "flask>=3.1",           # the page of `minivae serve`: paths, errors, files (limits a request from 3.1 on)
        "waitress>=3",          # serves it: a small server in plain Python
        "platformdirs>=4",      # where the system wants caches
        "jinja2>=3.1",          # the page of a run; brings markupsafe
        "psutil>=5.9",          # free memory
    ],
    extras_require={
        "cuda12": ["cupy-cuda12x[ctk]>=14"],        # arrays on a GPU, by the CUDA version of the driver; [ctk]: from 14 on
        "cuda13": ["cupy-cuda13x[ctk]>=14"],
        "mpi": ["mpi4py>=4"],       # several processes, with whatever MPI the machine has; where it has none, pip install mpich
        "tensorboard": ["tensorboardX>=2.6"],       # event files for --tensorboard
        "onnx": ONNX,                               # minivae export
        # The tests compile the kernels for GPUs; that takes CuPy and NVRTC, but no GPU and no driver. One CuPy only:
        # where the driver is for CUDA 12, the tests run with that one's.
        "test": [*TEST, "cupy-cuda13x>=13.6", "nvidia-cuda-nvrtc>=13"],
        "test-cuda12": [*TEST, "cupy-cuda12x[ctk]>=14"],
    },
    entry_points={"console_scripts": ["minivae = minivae.cli:main"]},
)
