"""The page of `minivae serve` in a real browser: what a person does to it, and what is seen then."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from served import digits, run, serving, started, thread, vaes  # noqa: F401

from minivae import data
from minivae.data import picture

SETTLED = "#now[aria-busy=false]"


@pytest.fixture(scope="module")
def address(run):
    """Where a run with classes is served."""
    with started(run, "--data", "digits") as (_, address):
        yield address


@pytest.fixture
def page(open_page, address):
    """The page, settled: (playwright's Page, what it did)."""
    page, seen = open_page(address)
    page.wait_for_selector(SETTLED)
    yield page, seen
    assert seen.errors == [] and seen.requests == []


@pytest.fixture
def vae(vaes):
    return vaes["labelled"]


@pytest.fixture
def images():
    """Those that the page starts from."""
    return data.load("digits").test_images


def shown(page, name="picture"):
    """What a canvas shows once all is settled, (height, width)."""
    page.wait_for_selector(SETTLED)
    address = page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("L"), np.float32)


def same(pixels, image):
    """Whether pixels from 0 to 255 are an image (1, height, width, 1) in [0, 1], but for the last bit."""
    return np.abs(pixels - image[0, ..., 0] * 255).max() <= 1.5


def start_of(vae, image):
    return vae.encode(image[None])[0], int(vae.classify(image[None])[0])


def test_a_slider_moves_the_picture(page, vae, images):
    """The picture is that of the first image's code; a number's slider changes it to what the library makes of that code;
    the arrow keys move it on; Delete and Reset bring it back."""
    page, _ = page
    code, label = start_of(vae, images[0])
    before = shown(page)
    assert same(before, vae.decode([code], label))
    page.get_by_text("numbers", exact=True).click()
    unit = int(vae_order(vae, images)[0])
    slider = page.get_by_role("slider", name=f"Number {unit} of the code,")
    slider.fill("2.5")
    code[unit] = 2.5
    after = shown(page)
    assert same(after, vae.decode([code], label)) and np.abs(after - before).max() > 20
    assert page.locator(f"output[for=slider-{unit}]").text_content() == "2.50"
    slider.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight"):
        page.keyboard.press(key)
    code[unit] = 2.31
    assert same(shown(page), vae.decode([code], label))
    page.keyboard.press("Delete")
    assert np.array_equal(shown(page), before)
    slider.fill("-1")
    page.get_by_role("button", name="Reset").click()
    assert np.array_equal(shown(page), before)


def vae_order(vae, images):
    return np.argsort(-vae.encode(images).astype(float).var(0), kind="stable")


def test_a_slider_that_is_dragged(page):
    """With the mouse, along its film: the picture follows, and so does the film of another slider."""
    page, _ = page
    before, film = shown(page), page.locator("#sliders canvas").nth(1).evaluate("c => c.toDataURL()")
    box = page.locator("#sliders input").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in range(1, 11):
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.045 * step), box["y"] + box["height"] / 2)
    page.mouse.up()
    after = shown(page)
    assert float(page.locator("#sliders output").first.text_content()) > 2
    assert np.abs(after - before).max() > 20
    assert page.locator("#sliders canvas").nth(1).evaluate("c => c.toDataURL()") != film


def test_more_sliders(page):
    """All numbers can be had, each on a film that is drawn."""
    page, _ = page
    page.get_by_text("numbers", exact=True).click()
    shown(page)
    assert page.locator("#sliders input").count() == 6 and page.locator("#more").is_hidden()
    films = page.locator("#sliders canvas").evaluate_all("films => films.map(film => [film.width, film.height])")
    assert films == [[15 * 28, 28]] * 6


def test_a_class_is_kept(page, vae, images):
    """Pressed, the picture is of that class, and stays so for another image; pressed again, the class is the image's own."""
    page, _ = page
    code, label = start_of(vae, images[0])
    other = (label + 1) % 10
    button = page.get_by_role("button", name=f"Class {other}")
    button.click()
    assert same(shown(page), vae.decode([code], other)) and button.get_attribute("aria-pressed") == "true"
    page.locator(".thumb").nth(1).click()
    page.locator("#origin", has_text="test image 83").wait_for()
    code, label = start_of(vae, images[83])
    assert same(shown(page), vae.decode([code], other))
    button.click()
    assert same(shown(page), vae.decode([code], label)) and button.get_attribute("aria-pressed") == "false"


def test_a_random_picture(page, vae):
    """Is the sample of the seed that is named."""
    page, _ = page
    page.get_by_role("button", name="Random").click()
    page.locator("#origin", has_text="sample").wait_for()
    seed = int(page.locator("#origin").text_content().split("seed ")[1].split()[0])
    picture, label = shown(page), page.locator(".label.present").get_attribute("aria-label")
    assert same(picture, vae.sample(1, int(label.removeprefix("Class ")), seed=seed)) and page.locator("#pair").is_hidden()


DROP = """([bytes, name]) => { const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
    for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true})); }"""


def own_picture():
    """A bar, larger than the model takes, wider than high, black on white."""
    picture = Image.new("RGB", (90, 60), "white")
    picture.paste((0, 0, 0), (40, 5, 52, 55))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_an_own_picture_is_dropped(page, vae):
    """Its reconstruction is the picture, and stands beside it; it can be walked away from; light and dark can be swapped."""
    page, _ = page
    file = own_picture()
    page.evaluate(DROP, [list(file), "bar.png"])
    page.locator("#origin", has_text="bar.png").wait_for()
    image = picture.decode(io.BytesIO(file), (28, 28, 1))
    code, label = start_of(vae, image)
    assert same(shown(page), vae.decode([code], label)) and page.locator("#pair").is_visible()
    assert page.locator("#pair img").evaluate_all("images => images.map(image => image.naturalWidth)") == [28, 28]
    page.locator("#sliders input").first.fill("-2.5")
    assert not same(shown(page), vae.decode([code], label))
    page.get_by_label("swap light and dark").check()
    code, label = start_of(vae, 255 - image)
    page.locator("#origin", has_text="swapped").wait_for()
    assert same(shown(page), vae.decode([code], label))


def test_an_own_picture_is_chosen(page, tmp_path):
    """By the file dialog; what is no picture is refused in words, and the picture stays."""
    page, _ = page
    (tmp_path / "bar.png").write_bytes(own_picture())
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Own picture").click()
    chooser.value.set_files(tmp_path / "bar.png")
    page.locator("#origin", has_text="bar.png").wait_for()
    shown(page)


def test_what_is_no_picture(open_page, address):
    """The server's words are on the page; nothing else changes."""
    page, seen = open_page(address)
    before = shown(page)
    page.evaluate(DROP, [list(b"nothing"), "text.png"])
    page.get_by_text("the picture cannot be used").wait_for()
    assert np.array_equal(shown(page), before)
    assert all("400" in error for error in seen.errors) and len(seen.errors) == 1     # the browser's own word of the refusal


def test_the_way_between_two(page, vae, images):
    """From the first image to the second; the middle is neither; another picture can be made the end."""
    page, _ = page
    codes, labels = zip(*(start_of(vae, image) for image in images[:2]), strict=True)
    way = page.get_by_role("slider", name="From A to B")
    pictures = []
    for step, expected in (("60", 1), ("0", 0)):
        way.fill(step)
        pictures.append(shown(page))
        assert same(pictures[-1], vae.decode([codes[expected]], labels[expected]))
    way.fill("30")
    middle = shown(page)
    assert labels[0] != labels[1] and page.locator(".label.present").count() == 2      # half of each class
    assert all(np.abs(middle - picture).max() > 20 for picture in pictures)
    page.locator("#take-b").click()
    assert np.array_equal(shown(page), middle)
    way.fill("0")
    way.fill("60")
    assert np.abs(shown(page) - middle).max() <= 1


def test_the_picture_is_downloaded(page):
    """As a PNG of the model's own pixels, named for the run."""
    page, _ = page
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    assert download.value.suggested_filename == "labelled.png"
    assert np.array_equal(np.asarray(Image.open(download.value.path())), shown(page))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
def test_it_fits(open_page, address, width, dark):
    """Wide and narrow, light and dark: nothing is cut off to the side, the ground is of the asked kind, every control has a
    name."""
    page, seen = open_page(address, width=width, dark=dark)
    page.wait_for_selector(SETTLED)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    nameless = page.evaluate("""[...document.querySelectorAll("button, input:not([hidden])")].filter(e =>
        !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.querySelector("img[alt]"))).length""")
    assert nameless == 0 and seen.errors == []


def test_without_images(open_page, serving):
    """It starts at a sample; there is no strip of images, and nothing fails."""
    _, address = serving()
    page, seen = open_page(address)
    assert shown(page).std() > 5 and page.locator("#origin").text_content().startswith("sample")
    assert page.locator(".thumb").count() == 0 and page.locator("#others").is_hidden()
    assert seen.errors == [] and seen.requests == []


def test_when_the_server_has_ended(open_page, serving):
    """The page says so."""
    process, address = serving("--data", "digits")
    page, _ = open_page(address)
    page.wait_for_selector(SETTLED)
    process.terminate()
    process.wait()
    page.locator("#sliders input").first.fill("1.5")
    page.get_by_text("has minivae serve ended?").wait_for()
