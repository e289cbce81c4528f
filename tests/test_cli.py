"""The command line, as a person uses it: in processes of its own."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minivae import data, gpu_errors, kernels, nvrtc
from minivae.cli import entry, options
from minivae.models import ARCHITECTURES
from minivae.models import LIKELIHOODS, SEMI
from minivae.optim import OPTIMIZERS, SCHEDULES

ROOT = Path(__file__).parent.parent
LAST = re.compile(r"test cost (\d+\.\d\d) = reconstruction (\d+\.\d\d) \+ KL (\d+\.\d\d) nats/image, trained in \d+\.\d s$")


def minivae(*arguments, cwd, room=None, **environment):
    """(exit code, output, errors) of a command; no file that it writes may have more than `room` bytes."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = subprocess.run([sys.executable, "-m", "minivae", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=300,
                          preexec_fn=limit if room else None)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training from the command line: (folder it ran in, its output)."""
    folder = tmp_path_factory.mktemp("train")
    code, out, err = minivae("train", "--epochs", 1, "--hidden", "64,32", "--code", 8, "--device", "cpu", cwd=folder)
    assert code == 0, err
    return folder, out


def test_the_choices_offered_are_those_there_are():
    assert set(options.ARCHITECTURES) == set(ARCHITECTURES) and options.OPTIMIZERS == tuple(OPTIMIZERS)
    assert options.SCHEDULES == tuple(SCHEDULES) and set(options.LIKELIHOODS) == set(LIKELIHOODS)
    assert options.SEMI == tuple(SEMI) and options.GPU_ARCHITECTURES == nvrtc.ARCHITECTURES


def test_train(run):
    """The device, a line an epoch, the last line in the words agreed on, and a whole run folder."""
    folder, out = run
    lines = out.splitlines()
    assert lines[0].startswith("device: cpu (") and "4,000 images of digits; into runs/digits-ff-1" in lines[1]
    assert re.match(r"\s*1/1 +\d+\.\d\d +\d+\.\d\d = +\d+\.\d\d \+ \d+\.\d\d +[\d,]+$", lines[3])
    total, reconstruction, kl = map(float, LAST.match(lines[-1]).groups())
    assert total == pytest.approx(reconstruction + kl, abs=0.011)
    pictures = {name: Image.open(folder / "runs/digits-ff-1" / f"{name}.png") for name in ("source", "reconstructions", "samples")}
    assert all(np.asarray(p).std() > 20 for p in pictures.values())
    assert (folder / "runs/digits-ff-1/checkpoint.safetensors").exists()


def test_sample_and_reconstruct_make_the_same_pictures_again(run):
    folder, _ = run
    path = folder / "runs/digits-ff-1"
    for verb, name in (("sample", "samples.png"), ("reconstruct", "reconstructions.png")):
        code, out, err = minivae(verb, path, "--out", f"{verb}.png", "--device", "cpu", cwd=folder)
        assert code == 0 and f"in {verb}.png" in out, err
        assert (folder / f"{verb}.png").read_bytes() == (path / name).read_bytes()
    code, out, err = minivae("reconstruct", path, "--count", 1001, "--out", "many.png", "--device", "cpu", cwd=folder)
    assert (code, out) == (2, "") and "--count is 1001, but digits has 1000 test images; take at most 1000" in err
    assert not (folder / "many.png").exists()
    code, _, _ = minivae("sample", path, "--count", 3, "--seed", 5, "--out", "few.png", "--device", "cpu", cwd=folder)
    assert code == 0 and (folder / "few.png").read_bytes() != (folder / "sample.png").read_bytes()


def test_eval(run):
    """A table in 80 columns, the same numbers in the run folder; the bound is the last line of the training, and the same
    seed gives the same numbers."""
    folder, trained = run
    path = folder / "runs/digits-ff-1"
    code, out, err = minivae("eval", path, "--importance", 20, "--device", "cpu", cwd=folder, COLUMNS="80")
    assert (code, err) == (0, "") and max(map(len, out.splitlines()[1:14])) <= 80
    report = json.loads((path / "eval.json").read_text())
    assert -report["elbo"]["mean"] == pytest.approx(float(LAST.match(trained.splitlines()[-1])[1]), abs=0.0051)
    assert report["nll"]["mean"] < -report["elbo"]["mean"] and report["images"] == 1000 and report["code"] == 8
    assert re.search(rf"unnormalized NLL, 20 samples +│ +{report['nll']['mean']:.2f} │ +{report['nll']['standard_error']:.2f} ", out)
    assert "Unnormalized: the squared error lacks" in out and "448.73 an image" in out
    for name in ("one.json", "two.json"):
        code, _, err = minivae("eval", path, "--importance", 3, "--split", "train", "--limit", 50, "--seed", 5, "--json", name,
                               "--device", "cpu", cwd=folder)
        assert code == 0, err
    one, two = (json.loads((folder / name).read_text()) for name in ("one.json", "two.json"))
    assert {**one, "seconds": 0} == {**two, "seconds": 0} and (one["split"], one["images"], one["seed"]) == ("train", 50, 5)
    for wrong, status, words in ((["--data", "no/such"], 2, "no/such"), (["--importance", "-1"], 2, "--importance"),
                                 (["--limit", "0"], 2, "--limit"), (["--limit", "1001"], 2, "take at most 1000"), (["--json", "."], 1, "no regular file")):
        (path / "eval.json").write_text("old")
        code, out, err = minivae("eval", path, "--device", "cpu", *wrong, cwd=folder)
        assert code == status and words in err and err.count("\n") == 1 and "Traceback" not in err
        assert (path / "eval.json").read_text() == "old"


BAD_ARGUMENTS = [
    (["train", "--data", "digit"], 2, "digits"), (["train", "--data", "no/such/folder"], 2, "no/such/folder"),
    (["train", "--batch-size", "4001"], 2, "take at most 4000"), (["train", "--batch-size", "0"], 2, "at least 2"),
    (["train", "--code", "0"], 2, "--code is 0"), (["train", "--learning-rate", "-1"], 2, "--learning-rate is -1"),
    (["train", "--epochs", "0"], 2, "--epochs is 0"), (["train", "--hidden", "12,x"], 2, "no list of sizes"),
    (["train", "--hidden", "12,0"], 2, "--hidden is 12,0"), (["train", "--arch", "gan"], 2, "'ff'"),
    (["train", "--device", "tpu"], 2, "auto, cpu, cuda or cuda:N"), (["sample", "nowhere"], 2, "there is no run in nowhere"),
    (["reconstruct", "nowhere"], 2, "there is no run"), (["eval", "nowhere"], 2, "there is no run in nowhere"), (["train", "--out", "/proc/x"], 1, "cannot make the run folder"),
    (["nonsense"], 2, "No such command"), (["train", "--channels", "8"], 2, "--channels belongs to --arch conv"),
    (["train", "--arch", "conv", "--channels", "8,8,8"], 2, "28 x 28 can be halved 2 times only: take at most 2 --channels"),
    (["train", "--optimizer", "newton"], 2, "'lamb'"), (["train", "--schedule", "linear"], 2, "'one-cycle'"),
    (["train", "--ema", "1"], 2, "--ema is 1, but must be 0 (no average) or a decay below 1"),
    (["train", "--rescale", "-5"], 2, "--rescale is -5"), (["train", "--clip", "nan"], 2, "--clip is nan"),
    (["train", "--weight-decay", "-1"], 2, "--weight-decay is -1"), (["train", "--warm-up", "61"], 2, "only 60"),
    (["optimizers", "newton"], 2, "'lamb'"),
    (["train", "--labels", "5"], 2, "--labels is 5, but must be 0 or from 10 (one of each class) to 4000 (all)"),
    (["train", "--labels", "100", "--label-weight", "-1"], 2, "--label-weight is -1"), (["train", "--semi", "m3"], 2, "'shared', 'm2'"),
    (["classify", "nowhere", "x.png"], 2, "there is no run in nowhere"), (["classify", "nowhere"], 2, "Missing argument"),
    (["bench", "--batch-size", "4001"], 2, "take at most 4000"), (["bench", "--batch-size", "0"], 2, "--batch-size is 0"),
    (["bench", "--json", "no/such/folder/x.json"], 1, "cannot write"), (["bench", "--json", "."], 1, "no regular file"),
    (["bench", "--arch", "gan"], 2, "'both'"), (["bench", "--repeat", "0"], 2, "--repeat"),
    (["bench", "--batch-size", "4001", "--json", "x.json"], 2, "take at most 4000"),
    (["train", "--hidden", "0"], 2, "--hidden is 0, but"), (["train", "--hidden", "x"], 2, "sizes such as 512,512,256"),
    (["train", "--arch", "conv", "--channels", "64,x"], 2, "'--channels': '64,x' is no list of sizes such as 64,128"),
    (["summary", "--arch", "conv", "--image", "27,28,1"], 2, "halved 0 times only: take --arch ff"),
    (["train", "--out", ""], 2, "'--out': the name is empty"), (["train", "--data", " "], 2, "'--data': the name is empty"),
    (["sample", "x", "--out", ""], 2, "'--out': the name is empty"), (["sample", ""], 2, "'RUN': the name is empty"),
    (["reconstruct", "x", "--data", ""], 2, "'--data': the name is empty"),
    (["kernels", "--json", ""], 2, "'--json': the name is empty"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD_ARGUMENTS, ids=lambda a: "-".join(a) if isinstance(a, list) else "")
def test_bad_arguments(tmp_path, arguments, code, words):
    """One clear error, its exit code, no trace, nothing written."""
    got, out, err = minivae(*arguments, cwd=tmp_path)
    assert got == code and re.fullmatch("(device: .*\n)?", out)       # no work is announced that is then not done
    assert words in err and "Traceback" not in err
    assert err.startswith("minivae: ") and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_list_of_optimizers(tmp_path):
    """All of them, in the order of the command line, or those that are named; within 80 columns no name is cut."""
    code, out, _ = minivae("optimizers", cwd=tmp_path, COLUMNS="80")
    names = [line.split()[0] for line in out.splitlines() if re.match(r"  [a-z]", line)]
    assert code == 0 and names == ["name", *OPTIMIZERS] and max(map(len, out.splitlines())) <= 80
    code, out, _ = minivae("optimizers", "rmsprop", cwd=tmp_path, COLUMNS="100")
    assert code == 0 and "Graves 2013" in out and "m' = mu m - s" in out and "limit 5" in out and "lion" not in out
    code, out, _ = minivae("optimizers", "adamw", cwd=tmp_path)
    assert code == 0 and re.search(r"lr 0\.03 *\n.*\(0\.001\)", out)


def test_every_option_of_the_optimizer_reaches_the_run(tmp_path):
    """Into settings.toml; the rate that is not given is the one that is listed."""
    code, _, err = minivae("train", "--epochs", 1, "--hidden", "16", "--code", 4, "--device", "cpu", "--optimizer", "adamw",
                           "--schedule", "one-cycle", "--warm-up", 0.5, "--rescale", 3, "--clip", 0.5, "--weight-decay", 0.1,
                           "--ema", 0.9, "--out", "x", cwd=tmp_path)
    assert code == 0, err
    text = (tmp_path / "x/settings.toml").read_text()
    for line in ('optimizer = "adamw"', "learning_rate = 0.03", 'schedule = "one-cycle"', "warm_up = 0.5", "rescale = 3.0",
                 "clip = 0.5", "weight_decay = 0.1", "ema = 0.9"):
        assert line + "\n" in text
    code, _, err = minivae("sample", "x", "--count", 1, "--device", "cpu", cwd=tmp_path)
    assert code == 0, err


def test_cuda_without_a_gpu_names_the_fix(tmp_path):
    """--device cuda where no GPU works; auto takes the CPU and says why."""
    code, _, err = minivae("train", "--device", "cuda", cwd=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert code in (1, 2) and "Traceback" not in err
    assert "or take --device cpu" in err or "there is no GPU 0" in err


def test_an_out_folder_in_use_is_refused(run):
    folder, _ = run
    before = sorted(p.name for p in folder.rglob("*"))
    code, _, err = minivae("train", "--epochs", 1, "--out", "runs/digits-ff-1", cwd=folder)
    assert code == 2 and "already holds a run; name a new folder with --out" in err
    assert sorted(p.name for p in folder.rglob("*")) == before


def test_pictures_go_where_pictures_belong(run, tmp_path):
    """Neither a device nor a checkpoint is overwritten; a link is followed."""
    folder, _ = run
    path = folder / "runs/digits-ff-1"
    for out, words in ((path / "checkpoint.safetensors", "ends in .png"), ("/dev/null", "ends in .png"), ("x.jpg", "ends in .png")):
        code, _, err = minivae("sample", path, "--count", 1, "--out", out, "--device", "cpu", cwd=tmp_path)
        assert code == 2 and words in err and len(err.splitlines()) == 1
    os.mkfifo(tmp_path / "pipe.png")
    code, _, err = minivae("sample", path, "--count", 1, "--out", "pipe.png", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "no regular file" in err
    (tmp_path / "target.png").write_text("")
    (tmp_path / "link.png").symlink_to("target.png")
    code, _, err = minivae("sample", path, "--count", 1, "--out", "link.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "link.png").is_symlink() and (tmp_path / "target.png").stat().st_size > 100


def test_settings_that_are_not_the_checkpoints(run, tmp_path):
    folder, _ = run
    copy = tmp_path / "copy"
    shutil.copytree(folder / "runs/digits-ff-1", copy)
    text = (copy / "settings.toml").read_text()
    (copy / "settings.toml").write_text(text.replace("code = 8", "code = 9"))
    code, _, err = minivae("sample", copy, "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "code was 8; put that back" in err and "Traceback" not in err


def test_a_run_that_stops_before_its_first_checkpoint_leaves_nothing(tmp_path):
    """The cost is not finite in the first epoch: one line, and the name can be used again."""
    arguments = ["train", "--optimizer", "sgd", "--learning-rate", "1e30", "--hidden", "8", "--code", 2, "--out", "x"]
    for _ in range(2):
        code, _, err = minivae(*arguments, "--device", "cpu", cwd=tmp_path)
        assert code == 1 and "the cost was not finite at step" in err and "no checkpoint had been written yet" in err
        assert not list(tmp_path.iterdir())


def test_sizes_beyond_all_memory(tmp_path):
    """Every option that would help is named, and none that the command lacks."""
    code, _, err = minivae("train", "--hidden", "100000000000000", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "minivae: out of memory (" in err and len(err.splitlines()) == 1
    assert err.endswith("): take a smaller --batch-size, --hidden, --channels or --code\n")
    code, _, err = minivae("summary", "--image", "10000000,10000000,1", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and err.endswith("): take a smaller --hidden, --channels, --code or --batch-size\n")


def test_output_that_cannot_be_written(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "minivae", "train", "--device", "cpu"], cwd=tmp_path, stdout=full,
                              stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=100)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "choose another place" in done.stderr
    assert not list(tmp_path.rglob("*.toml"))


def test_no_compiler_and_no_gpu(tmp_path):
    """One line that names the fix; no run folder is left."""
    code, _, err = minivae("train", cwd=tmp_path, CXX="no-such-compiler", CUDA_VISIBLE_DEVICES="")
    assert code == 1 and "Traceback" not in err
    assert re.search("minivae: CXX=no-such-compiler names no program.*install one", err)
    assert not list(tmp_path.iterdir())


def test_first_start_compiles_and_says_so(tmp_path):
    """With an empty cache the kernels are built, once; the second start says nothing of it."""
    arguments = ["train", "--epochs", 1, "--hidden", "16", "--code", 2, "--batch-size", "2000", "--device", "cpu"]
    said = [minivae(*arguments, cwd=tmp_path, MINIVAE_CACHE=str(tmp_path / "cache"))[2] for _ in range(2)]
    assert "compiling" in said[0] and "once" in said[0] and "compiling" not in said[1]


def test_a_corrupt_checkpoint(run, tmp_path):
    folder, _ = run
    copy = tmp_path / "copy"
    shutil.copytree(folder / "runs/digits-ff-1", copy)
    content = bytearray((copy / "checkpoint.safetensors").read_bytes())
    content[-5] ^= 1
    (copy / "checkpoint.safetensors").write_bytes(content)
    code, _, err = minivae("sample", copy, "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "checksum" in err and "Traceback" not in err


def _idx(path, array):
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes())


def test_a_folder_of_ones_own(tmp_path, rng):
    """--data PATH with images of another size and few of them: trains with a batch that fits, and samples."""
    for part, count in (("train", 60), ("t10k", 20)):
        _idx(tmp_path / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 6, 7), np.uint8))
        _idx(tmp_path / f"{part}-labels-idx1-ubyte", rng.integers(0, 3, count, np.uint8))
    code, out, err = minivae("train", "--data", tmp_path, "--epochs", 2, "--hidden", "8", "--code", 2, "--device", "cpu",
                             cwd=tmp_path)
    assert code == 0, err
    assert LAST.match(out.splitlines()[-1])
    [folder] = (tmp_path / "runs").iterdir()
    code, out, err = minivae("reconstruct", folder, "--out", "x.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and out.startswith("20 images and their reconstructions"), err
    _idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(19, np.uint8))
    code, _, err = minivae("train", "--data", tmp_path, cwd=tmp_path)
    assert code == 1 and "20" in err and "19" in err and "Traceback" not in err


@pytest.fixture
def noise(tmp_path, rng):
    """A folder of images that no picture makes smaller."""
    folder = tmp_path / "noise"
    folder.mkdir()
    for part, count in (("train", 200), ("t10k", 100)):
        _idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), np.uint8))
        _idx(folder / f"{part}-labels-idx1-ubyte", np.zeros(count, np.uint8))
    return folder


def test_no_room_at_the_end(noise, tmp_path):
    """For the pictures: what failed, then what is kept and how to go on, which works. For the checkpoint: nothing is left."""
    arguments = ["train", "--data", noise, "--epochs", 2, "--hidden", 1, "--code", 1, "--device", "cpu", "--out", "x"]
    code, _, err = minivae(*arguments, cwd=tmp_path, room=70_000)
    assert (code, err.count("\n")) == (1, 2) and "can be used" not in err
    said, kept = err.splitlines()
    assert re.fullmatch("minivae: cannot write .*x/source.png: .*; make room there", said)
    assert kept.startswith("minivae: x keeps the model after 2 of 2 epochs: `minivae sample x` and ")
    code, _, err = minivae("sample", "x", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "x/samples.png").exists(), err
    shutil.rmtree(tmp_path / "x")
    code, _, err = minivae(*arguments, cwd=tmp_path, room=20_000)
    assert (code, err.count("\n")) == (1, 1) and "x/checkpoint.safetensors: " in err and not (tmp_path / "x").exists()


def test_train_the_convolutional_model(tmp_path):
    """--arch conv with sizes of one's own: trains, saves, and samples again from the checkpoint."""
    code, out, err = minivae("train", "--arch", "conv", "--channels", "4,8", "--hidden", "16", "--code", 4, "--epochs", 1,
                             "--batch-size", 500, "--out", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0, err
    assert LAST.match(out.splitlines()[-1])
    picture = (tmp_path / "run/samples.png").read_bytes()
    code, _, err = minivae("sample", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "run/samples.png").read_bytes() == picture, err


def test_bench(tmp_path):
    """The table, the line that compares, a table of where the time goes; all numbers in a file."""
    arguments = ["bench", "--batch-size", 4, "--repeat", 1, "--device", "cpu"]
    code, out, err = minivae(*arguments, "--profile", "--json", "times.json", cwd=tmp_path)
    assert code == 0, err
    assert out.startswith("device: cpu (")
    for label in ("ms, median", "examples/s", "GFLOP", "GFLOP/s", "time / products alone", "kernel launches",
                  "working memory, MB"):
        assert len(re.findall(rf"│ {label} +│ +[\d,.]+ │ +[\d,.]+ │", out)) == 1
    times, sizes = r"[\d.]+ \([\d.]+ - [\d.]+; ", r"4 against 4 examples\); "
    assert re.search(f"^conv/ff per iteration: {times}{sizes}their arithmetic: 14.53$", out, re.MULTILINE)
    for row in ("conv2d_transpose backward", "rmsprop_nesterov", "outside: Python, copies", "all"):
        assert row in out.split("conv: where the time goes")[1]
    report = json.loads((tmp_path / "times.json").read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["times.json"]
    assert report["architectures"].keys() == report["profiles"].keys() == {"ff", "conv"}
    code, out, err = minivae(*arguments, "--arch", "ff", cwd=tmp_path)
    assert code == 0 and "conv" not in out.replace("convolutions", ""), err


def test_names_of_the_built_in_sets_are_known():
    assert "digits" in data.NAMES and "fashion-mnist" in data.NAMES and "mnist" in data.NAMES


def test_no_command(tmp_path):
    """The help as it is laid out for --help."""
    code, out, err = minivae(cwd=tmp_path)
    assert (code, out, err) == (2, "", minivae("--help", cwd=tmp_path)[1]) and "\n  train  " in err


@pytest.mark.parametrize("count", ["zero", "0", "-3", "1.5"])
def test_a_number_of_threads_that_cannot_be(tmp_path, count):
    code, out, err = minivae("train", "--out", "x", "--device", "cpu", cwd=tmp_path, MINIVAE_THREADS=count)
    assert (code, out) == (2, "") and err.startswith(f"minivae: MINIVAE_THREADS is {count}, but must be a number of threads, 1")
    assert err.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", *entry.COMMANDS])
def test_help(name):
    """Every command explains itself without loading the library; its first words are those of the list of commands."""
    code = "import sys\nfrom minivae.cli import main\ntry: main()\nfinally: print({'numpy', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code, *name.split(), "--help"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and done.stdout.endswith("set()\n"), done.stderr
    assert done.stdout.startswith(f"Usage: minivae {name}")
    if name:
        assert done.stdout.split("\n\n")[1].strip() == entry.COMMANDS[name][1]


def test_summary(tmp_path):
    """Whole numbers in 80 columns, and by batch; what no model can have is one line."""
    code, out, err = minivae("summary", "--arch", "conv", "--depth", "3", cwd=tmp_path, COLUMNS="80")
    assert (code, err) == (0, "") and re.search(r"down.1 +│ Conv .*│ +73,984 │ +28,901,376 │", out)
    assert re.search(r" {4}norm +│ BatchNorm .*│ +256 │ +0 │", out) and re.search(r"all .* 7,111,554 │ +51,149,312 │", out)
    code, out, _ = minivae("summary", "--image", "4,4,1", "--hidden", "3", "--code", "2", "--batch-size", "10", cwd=tmp_path)
    assert code == 0 and re.search(rf"  0 .*\(10, 3\).* {16 * 3 + 6} │ +{2 * 10 * 16 * 3} │", out)
    for wrong, words in ((["--image", "28,28"], "--image is 28,28, but must be"), (["--code", "0"], "--code is 0")):
        code, out, err = minivae("summary", *wrong, cwd=tmp_path)
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1


def test_kernels(tmp_path):
    """A row for every kernel, the same numbers in the file; nothing is wrong with them."""
    code, out, err = minivae("kernels", "--arch", "sm_90", "--json", "k.json", cwd=tmp_path, COLUMNS="80")
    count = len(kernels.stems())
    assert (code, err) == (0, f"compiling {count} kernel files for sm_90 ...\n") and "No warning, no spilled register" in out
    rows = json.loads((tmp_path / "k.json").read_text())["kernels"]
    assert {row["kernel"] for row in rows} == {name for stem in kernels.stems() for name in kernels.signatures(stem)}
    add = next(row for row in rows if row["kernel"] == "add")
    assert (add["architecture"], add["bytes_per_element"], add["widest_load_bytes"]) == ("sm_90", 12, 16)
    assert re.search(rf"add +{add['registers']} +0 +{add['occupancy']:.0%} +12 +16 +16 *\n", out) and "…" not in out


def test_kernels_without_cupy(tmp_path):
    """One line that names the fix, and no file."""
    (tmp_path / "cupy.py").write_text("raise ImportError('no cupy here')")
    code, out, err = minivae("kernels", "--json", "k.json", cwd=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (code, out) == (1, "") and not (tmp_path / "k.json").exists()
    assert err.startswith("minivae: compiling kernels for a GPU needs CuPy and NVRTC, though no GPU (no cupy here): ")
    assert f"{gpu_errors.pip()} install 'cupy-cuda1" in err and err.count("\n") == 1


def _interrupted(arguments, cwd, moment, **environment):
    """(exit code, errors) of a command that gets Ctrl-C, with all that it started, at that moment."""
    process = subprocess.Popen([sys.executable, "-m", "minivae", *arguments], cwd=cwd, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    first = process.stderr.readline()
    moment()
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=100)
    return process.returncode, first + rest


def test_ctrl_c_while_kernels_are_compiled_for_a_gpu(tmp_path):
    """One line, and no half of a file."""
    code, err = _interrupted(["kernels", "--json", "k.json"], tmp_path, lambda: time.sleep(0.5))
    assert code == 130 and err.startswith("compiling ") and err.endswith("minivae: stopped\n") and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_kernels_are_compiled_for_the_processor(tmp_path):
    """The cache keeps nothing but what is whole."""
    cache = tmp_path / "cache"

    def compiling():
        for _ in range(1000):
            if list(cache.rglob("*.cpp")):
                return
            time.sleep(0.01)

    code, err = _interrupted(["train", "--device", "cpu", "--out", "x"], tmp_path, compiling, MINIVAE_CACHE=str(cache))
    assert code == 130 and err.endswith("minivae: stopped\n") and "Traceback" not in err
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".so"] and not (tmp_path / "x").exists()
