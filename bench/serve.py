"""How soon the picture of `minivae serve` follows a slider, in headless Chromium.

    python bench/serve.py RUN [--moves N] [--pause MS] [--browser PROGRAM] [--device DEVICE]

Moves the first slider and waits until the canvas holds other pixels: when all films are drawn and nothing else goes on, and
while the slider is dragged, a move every so many milliseconds, when films are being drawn as well. Also the server's answer
alone, over one connection. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

import needs

needs.require(__file__, __doc__, "flask", "waitress", "playwright")

from playwright.sync_api import sync_playwright  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SETTLED = "#now[aria-busy=false]"
MOVE = """async (k) => {
    const slider = document.querySelector("#sliders input"), canvas = document.getElementById("picture");
    const before = canvas.toDataURL(), began = performance.now();
    slider.value = (k % 2 ? 2.5 : -2.5) + 0.01 * k / 20;
    slider.dispatchEvent(new Event("input"));
    while (canvas.toDataURL() === before && performance.now() - began < 5000) await new Promise((go) => setTimeout(go, 0));
    return performance.now() - began; }"""


def answers(address: str, moves: int) -> list[float]:
    """Milliseconds of the server's answers to requests for a picture."""
    host = urlsplit(address).netloc
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/api/model")
    facts = json.load(connection.getresponse())
    took = []
    for k in range(moves):
        body = {"codes": [[0.01 * k] * facts["code"]], **({"classes": [0]} if facts["classes"] else {})}
        began = time.perf_counter()
        connection.request("POST", "/api/decode", json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read()
        took.append(1000 * (time.perf_counter() - began))
    return took


def follows(address: str, moves: int, pause: int, program: str) -> dict[str, list[float]]:
    """Milliseconds from a slider's event to other pixels in the canvas."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(SETTLED)
        found = {"settled": [], "dragged": []}
        for kind, times in found.items():
            for k in range(moves):
                times.append(page.evaluate(MOVE, k))
                if kind == "settled":
                    page.wait_for_selector(SETTLED)
                else:
                    page.wait_for_timeout(pause)
        browser.close()
        return found


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder")
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--pause", type=int, default=16, help="milliseconds between moves of a slider that is dragged")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    if chosen.browser is None:
        sys.exit("no Chromium is on the PATH: install it, or name one with --browser")
    with subprocess.Popen([sys.executable, "-m", "minivae", "serve", chosen.run, "--port", "0", "--device", chosen.device],
                          stdout=subprocess.PIPE, text=True) as server:
        address = next((found[0] for line in server.stdout if (found := re.search(r"http://\S+", line))), None)
        if address is None:
            sys.exit(server.wait())
        try:
            times = {"the server alone": answers(address, chosen.moves),
                     **follows(address, chosen.moves, chosen.pause, chosen.browser)}
        finally:
            server.terminate()
    for kind, took in times.items():
        took = sorted(took)
        print(f"{kind:17} median {statistics.median(took):5.1f} ms, 95% within {took[int(0.95 * len(took))]:5.1f} ms, "
              f"most {took[-1]:5.1f} ms")


if __name__ == "__main__":
    main()
