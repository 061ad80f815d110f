"""What a reader can do with the pages, at three widths, by mouse and by keyboard."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from genlab.contracts import DataSpec
from genlab.gallery.page import build
from tests.gallery.browser.conftest import FRAMES

HOSTILE = """<script>alert('1')</script>"&<img src=x onerror=alert(2)>"""
WIDTHS = (360, 820, 1280)


def until(page, condition: str) -> None:
    """Wait for it. Playwright's own way is an eval in the page, which its policy does not allow."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "good/index.html"])
def test_a_page_fits_its_window_and_shows_all_pictures(opened, site, name, width, scheme):
    page = opened(site / name, width, scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    loaded = "[...document.images].every((image) => image.complete && image.naturalWidth)"
    until(page, loaded)
    assert page.evaluate("[...document.images].every((image) => image.alt)")


def visible(page) -> list[str]:
    """The runs that the index shows, in order."""
    return page.evaluate(
        "[...document.querySelectorAll('.tile')].filter((t) => !t.hidden).map((t) => t.id.slice(4))"
    )


def test_runs_are_filtered_and_the_address_remembers(opened, site):
    page = opened(site / "index.html")
    assert visible(page) == ["good", "better", "bound"]
    page.locator("select[name=model]").select_option("Beta")
    assert visible(page) == ["better", "bound"]
    page.locator("select[name=kind]").select_option("upper bound on NLL")
    assert visible(page) == ["bound"]
    assert page.locator("#count").text_content() == "1 of 3 shown"
    page.reload()
    assert visible(page) == ["bound"]
    page.locator("select[name=kind]").select_option("all")
    assert visible(page) == ["better", "bound"]
    page.locator("select[name=model]").select_option("all")
    page.locator("select[name=data]").select_option("bits")
    assert visible(page) == ["good", "better"]


def test_an_address_of_something_else_changes_nothing(opened, site):
    page = opened(site / "index.html")
    page.goto(f"{page.url}count=3&length=1&model=Beta")
    page.reload()
    assert visible(page) == ["better", "bound"]
    assert page.locator("#count").text_content() == "2 of 3 shown"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("score", ["better", "good", "bound"]),  # within exact numbers, then the bound
        ("parameters", ["bound", "better", "good"]),
        ("model", ["good", "better", "bound"]),
        ("seconds", ["good", "bound", "better"]),
    ],
)
def test_runs_are_put_in_order(opened, site, order, expected):
    page = opened(site / "index.html")
    page.locator("select[name=order]").select_option(order)
    assert visible(page) == expected


@pytest.mark.parametrize("width", WIDTHS)
def test_chosen_runs_stand_side_by_side(opened, site, width):
    page = opened(site / "index.html", width)
    assert not page.locator("#beside").is_visible()
    for name in ("good", "bound"):
        page.locator(f"#run-{name} input").check()
    figures = page.locator("#beside figure")
    assert [figures.nth(i).locator("h2").text_content().strip() for i in (0, 1)] == [
        "Alpha",
        "Beta",
    ]
    assert figures.nth(1).locator("img").get_attribute("src") == "bound/samples/seed-0.png"
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    page.reload()
    assert page.locator("#beside figure").count() == 2
    page.get_by_role("button", name="Clear").click()
    assert not page.locator("#beside").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sample_is_enlarged_beside_its_nearest_training_datum(opened, site, width):
    page = opened(site / "good" / "index.html", width)
    page.get_by_role("button", name="Enlarge sample 10", exact=True).click()
    dialog = page.get_by_role("dialog")
    assert "Sample 10 of 64" in dialog.text_content()
    assert "log p = -21.12 nats; nearest training datum: 9 entries differ" in dialog.text_content()
    assert "genlab sample RUN --n 10 --seed 0" in dialog.text_content()
    box = dialog.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_who_chooses_by_keyboard_stays_where_they_are(opened, site):
    page = opened(site / "index.html")
    box = page.get_by_role("checkbox", name="better side by side")
    box.focus()
    page.keyboard.press("Space")
    assert box.is_checked()
    assert page.evaluate("document.activeElement.closest('.tile').id") == "run-better"
    page.get_by_role("button", name="↑ see them").focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('beside').getBoundingClientRect().top < 20")
    page.get_by_role("button", name="Clear").click()
    assert not page.get_by_role("button", name="↑ see them").count()


def test_a_click_beside_the_dialog_closes_it_and_one_on_its_edge_does_not(opened, site):
    page = opened(site / "good" / "index.html")
    page.get_by_role("button", name="Enlarge sample 1", exact=True).click()
    dialog = page.get_by_role("dialog")
    box = dialog.bounding_box()
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    assert dialog.is_visible()
    page.mouse.click(box["x"] - 20, box["y"] + 20)
    assert not dialog.is_visible()


def test_a_sample_beyond_those_whose_nearest_is_known_stands_alone(opened, make_run, tmp_path):
    run = make_run()
    path = run.figures / "nearest.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"samples": known["samples"][:10]}))
    page = opened(build([run.path], tmp_path / "site").parent / "one" / "index.html")
    page.get_by_role("button", name="Enlarge sample 10", exact=True).click()
    assert page.locator("canvas.near").is_visible()
    page.keyboard.press("ArrowRight")
    assert not page.locator("canvas.near").is_visible()


def shown(page, kind: str) -> list[int]:
    """The picture of 8 × 8 bits in the dialog, 0 or 255 for each."""
    picture = Image.open(io.BytesIO(page.locator(f"canvas.{kind}").screenshot())).convert("L")
    small = np.asarray(picture.resize((8, 8), Image.Resampling.BOX))
    return (255 * (small > 127)).flatten().tolist()


def test_what_is_enlarged_is_the_sample(opened, site, make_run):
    """The arrays say what must be seen; the made-up nearest datum of a sample is the one before it."""
    x = (255 * np.load(make_run("again").samples / "seed-0.npz")["x"]).astype(int)
    page = opened(site / "good" / "index.html")
    until(page, "document.getElementById('nearest').complete")
    page.get_by_role("button", name="Enlarge sample 10", exact=True).click()
    assert shown(page, "sample") == x[9].flatten().tolist()
    assert shown(page, "near") == x[8].flatten().tolist()


def test_samples_are_reached_by_keyboard(opened, site):
    page = opened(site / "good" / "index.html")
    page.get_by_role("button", name="Enlarge sample 1", exact=True).focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    which = page.locator(".which")
    assert which.text_content() == "Sample 10 of 64"
    page.keyboard.press("ArrowRight")
    assert which.text_content() == "Sample 11 of 64"
    page.get_by_role("button", name="← previous").click()
    assert which.text_content() == "Sample 10 of 64"
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_frames_are_stepped_through_and_played(opened, site, width):
    page = opened(site / "good" / "index.html", width)
    slider = page.get_by_label("Frame of chain, animated")
    slider.scroll_into_view_if_needed()
    which = page.locator(".player output")
    page.get_by_role("button", name="Pause").click()
    slider.focus()
    page.keyboard.press("Home")
    assert which.text_content() == f"frame 1 of {FRAMES}"
    first = page.locator(".player canvas").screenshot()
    page.keyboard.press("ArrowRight")
    assert which.text_content() == f"frame 2 of {FRAMES}"
    assert page.locator(".player canvas").screenshot() != first
    page.get_by_role("button", name="Play").click()
    until(page, f"document.querySelector('.player output').value !== 'frame 2 of {FRAMES}'")


def test_nothing_plays_for_who_wants_it_still(browser, site):
    page = browser.new_page(reduced_motion="reduce")
    page.goto((site / "good" / "index.html").as_uri())
    page.locator(".player").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert page.locator(".player output").text_content() == f"frame {FRAMES} of {FRAMES}"
    assert page.get_by_role("button", name="Play").is_visible()
    page.close()


@pytest.mark.parametrize("hostile", [HOSTILE, "x" * 300])
def test_hostile_names_are_text(opened, make_run, make_score, tmp_path, hostile):
    spec = DataSpec(hostile, hostile, (1, 8, 8), "binary")
    run = make_run("a", spec, (make_score(spec, method=hostile),), model=f"acme.{hostile}")
    index = build([run.path], tmp_path / "out")
    for file in (index, index.parent / "a" / "index.html"):
        page = opened(file, 360)
        assert hostile in page.locator("body").inner_text().replace("\n", "")
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "faint", "link", "warn", "line-1", "line-2", "line-3"])
def test_words_and_lines_stand_out(opened, site, scheme, ink):
    """By WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for words, 3 for lines."""
    page = opened(site / "index.html", scheme=scheme)
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    for paper in ("--paper", "--card"):
        low, high = sorted(luminance(page.evaluate(read, name)) for name in (f"--{ink}", paper))
        assert (high + 0.05) / (low + 0.05) >= (3 if "line" in ink else 4.5)
