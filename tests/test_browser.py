"""The watch over pages itself: it sees what is wrong in one."""

BROKEN = """<!doctype html><title>t</title><link rel="icon" href="data:,">
<img src="missing.png"><script>console.error("said"); throw new Error("thrown")</script>"""


def test_what_is_wrong_in_a_page_is_seen(open_page, tmp_path):
    """A missing picture, an error that a script reports and one that it dies of; the page's colours are those asked for."""
    path = tmp_path / "page.html"
    path.write_text(BROKEN)
    page, seen = open_page(path.as_uri(), width=400, dark=True)
    assert seen.requests == [(tmp_path / "missing.png").as_uri()]
    for words in ("missing.png", "said", "thrown"):
        assert any(words in error for error in seen.errors)
    assert page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [400, True]


def test_a_sound_page_gives_nothing_to_see(open_page, tmp_path):
    """What a page carries itself is no request."""
    path = tmp_path / "page.html"
    path.write_text('<!doctype html><title>t</title><img src="data:image/gif;base64,'
                    'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">')
    page, seen = open_page(path.as_uri())
    assert (seen.errors, seen.requests) == ([], [])
    assert page.evaluate("document.images[0].naturalWidth") == 1
