"""The page of a run in a real browser: whole, alone, for every window and both colours, and on paper."""

import pytest
from pages import data_set, trained

from minivae.page import following

WIDER = """() => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.scroll') && !e.closest('svg')).map(e => e.outerHTML.slice(0, 80))"""
EMPTY = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth || !i.getBoundingClientRect().width).length"
# Of all text: the contrast of its colour with the first background that is not transparent (WCAG 2), the least of them.
CONTRAST = """() => {
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = e => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0(\\.\\d+)?\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  for (const e of document.querySelectorAll('body :not(title)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const colour = getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'];
    const [a, b] = [light(colour), light(back(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 100)]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
}"""
# Texts of one chart that lie on each other.
OVERLAPS = """() => {
  const over = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  return [...document.querySelectorAll('svg')].flatMap(svg => {
    const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    return boxes.flatMap(([one, a], i) =>
      boxes.slice(i + 1).filter(([_, b]) => over(a, b)).map(([two]) => one + ' | ' + two));
  });
}"""
CASES = {"labels": ({"classes": 3, "train": 30, "test": 60}, {"labels": 6, "epochs": 4}),
         "names": ({"classes": 12, "train": 30, "test": 60, "name": "w" * 300, "class_names": ["long name " * 9] * 12}, {}),
         "large": ({"shape": (120, 60, 3), "test": 0}, {"epochs": 1}),
         "one pixel": ({"shape": (1, 1, 1)}, {"code": 1})}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Addresses of pages, made when they are asked for."""
    import numpy as np

    from minivae import device

    made = {}

    def page(case):
        if case not in made:
            shown, told = CASES[case]
            folder, images = tmp_path_factory.mktemp("runs") / "run", data_set(np.random.default_rng(0), **shown)
            run = trained(folder, images, device.cpu(), **told)
            made[case] = (run.folder / "report.html").as_uri()
        return made[case]

    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280, 2560])
@pytest.mark.parametrize("case", CASES)
def test_the_page_stands_in_every_window(case, width, dark, open_page, pages):
    """No error, no request, no picture missing, nothing wider than the window, no text that is hard to read or lies on
    another; the colours are those asked for."""
    page, seen = open_page(pages(case), width=width, dark=dark)
    assert (seen.errors, seen.requests) == ([], [])
    assert page.evaluate("document.images.length") > 50 and page.evaluate(EMPTY) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width and page.evaluate(WIDER) == []
    contrast, where = page.evaluate(CONTRAST)
    assert contrast >= 4.5, where
    assert page.evaluate(OVERLAPS) == []
    brightness = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")[0]
    assert (int(brightness) < 128) == dark


def test_columns_of_few_classes_are_alike_in_height(open_page, pages):
    """What a style looks like in each of three classes is no tower beside its two neighbours."""
    page, _ = open_page(pages("labels"), width=1280)
    heights = page.evaluate("[...document.querySelectorAll('#classes .thirds > *')].map(e => e.getBoundingClientRect().height)")
    assert len(heights) == 3 and heights[0] < 1.4 * max(heights[1:]), heights


def test_the_page_can_be_printed(open_page, pages):
    """On white, also where the reader's windows are dark; a few sheets of paper."""
    page, _ = open_page(pages("labels"), dark=True)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF") and 2 <= printed.count(b"/Type /Page\n") <= 6


def test_the_page_can_be_read_aloud(open_page, pages):
    """Headings in order, one title, names for all pictures and charts and tables."""
    page, _ = open_page(pages("labels"))
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert page.evaluate("document.querySelectorAll('img:not([alt])').length") == 0
    assert page.evaluate("[...document.querySelectorAll('svg[role=img]')].every(s => s.getAttribute('aria-label'))")
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption)") and page.title() == "run – minivae"
    links = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
    assert len(links) == 8 and all(page.locator(link).count() == 1 for link in links)


def test_a_value_is_shown_where_the_pointer_is(open_page, pages):
    """The epochs' numbers are in the charts."""
    page, _ = open_page(pages("labels"))
    titles = page.evaluate("[...document.querySelectorAll('#costs title')].map(t => t.textContent)")
    assert len(titles) == 4 * 4 and titles[0].startswith("epoch 1: training ")


def test_a_training_is_watched(open_page, rng, cpu, tmp_path, monkeypatch):
    """The page looks again by itself and finds what has changed since."""
    monkeypatch.setattr("minivae.page.writing.REFRESH", 1)
    monkeypatch.setattr(following, "SHARE", 1e9)
    monkeypatch.setattr(following.Following, "finish", lambda *_: None)
    run = trained(tmp_path / "run", data_set(rng), cpu)
    path = run.folder / "report.html"
    page, seen = open_page(path.as_uri())
    assert "training epoch 1 of 2" in page.inner_text("header")
    path.write_text(path.read_text().replace("training</b> epoch 1 of 2", "training</b> epoch 2 of 2"))
    page.get_by_text("epoch 2 of 2").wait_for()
    assert seen.errors == []
