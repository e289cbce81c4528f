"""Headless Chromium for the tests of pages. What a page asks for and what goes wrong in it is kept, for tests to look at."""

import shutil
from dataclasses import dataclass, field

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run", "--hide-scrollbars"]
PATIENCE = 20_000       # milliseconds that anything may take


@dataclass
class Seen:
    """What a page did since it was opened.

    Attributes:
        errors: what the console called an error or a warning, exceptions in scripts, and requests that failed.
        requests: addresses asked for, but for the page's own and what it carries itself (data:, blob:).
    """

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium():
    """A running headless Chromium (playwright's Browser); skips where none is installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no Chromium is installed (none of {', '.join(PROGRAMS)} is on the PATH)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens an address in a window of its own: open_page(address, width=1280, dark=False) gives (playwright's Page, Seen).
    All are closed after the test."""
    contexts = []

    def open_(address, width=1280, height=900, dark=False, **more):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
                                       reduced_motion="reduce", **more)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page, seen = context.new_page(), Seen()
        page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("requestfailed", lambda request: seen.errors.append(f"{request.url[:200]}: {request.failure}"))
        page.on("request", lambda request: seen.requests.append(request.url)
                if not request.url.startswith(("data:", "blob:", str(address))) else None)
        page.goto(str(address), wait_until="load")
        return page, seen

    yield open_
    for context in contexts:
        context.close()
