"""The code in docs/autodiff.md runs as it stands there, and prints what it says; that of the README runs."""

import re
from pathlib import Path

import pytest

import minivae
from minivae import device as devices
from minivae.estimator import VAE

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "autodiff.md", ROOT / "README.md"
BLOCK = re.compile(r"^```(python|cuda)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAYS = re.compile(r"^ *print\(.*\) +# (.*)$", re.MULTILINE)


def sections() -> dict[str, list[tuple[str, str]]]:
    """The (language, code) of each block, by heading."""
    found = re.split(r"^## (.*)\n", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {title: BLOCK.findall(text) for title, text in zip(found[::2], found[1::2], strict=True)}


def fits(printed: str, said: str) -> bool:
    """Whether a line is as a comment says: it may end in '...', and 'about 6.5 % wrong' leaves the number a third of itself,
    since in a training rounding decides."""
    if said.startswith("about "):
        (number, rest), (found, ending) = (line.split(" ", 1) for line in (said.removeprefix("about "), printed))
        return rest == ending and float(found) == pytest.approx(float(number), rel=1 / 3)
    return printed.startswith(said.removesuffix(" ...")) if said.endswith(" ...") else printed == said


def run(blocks, namespace, folder):
    """Each block after the other; every print must print what the comment behind it says."""
    for language, code in blocks:
        if language == "cuda":
            (folder / re.match(r"// (\S+\.cu) ", code)[1]).write_text(code)
            continue
        said = SAYS.findall(code)
        assert len(said) == code.count("print("), "a print without a comment on what it prints"
        printed = []
        namespace["print"] = lambda *words: printed.append(" ".join(map(str, words)))
        exec(compile(code, PAGE.name, "exec"), namespace)
        assert len(printed) == len(said)
        for line, comment in zip(printed, said, strict=True):
            assert fits(line, comment), f"printed {line!r}, said {comment!r}"


@pytest.mark.parametrize("count", [2, 3])
def test_the_walk(device, request, monkeypatch, tmp_path, count):
    """From top to bottom in one namespace; the training, where every thread is watched, in no bearable time: not there."""
    if count == 3 and "simt" in request.node.name:
        pytest.skip("training takes too long on the stand-in")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "select", lambda name: (device, "as the test asks"))
    namespace = {"__name__": "walk"}
    for blocks in list(sections().values())[:count]:
        run(blocks, namespace, tmp_path)


def test_what_the_readme_says_runs(tmp_path, monkeypatch):
    """The section's code from top to bottom, with fewer epochs; comments name the shapes that come out."""
    code, = re.findall(r"^## From Python\n.*?^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert "epochs=20" in code
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code.replace("epochs=20", "epochs=1, hidden=(16,), device='cpu'"), "README.md", "exec"), names)
    assert names["codes"].shape == (1000, 384) and names["images"].shape == (100, 28, 28, 1)
    assert names["classes"].shape == (1000,)
    assert minivae.VAE is VAE
