"""Every page in a real browser: no complaints, nothing from elsewhere, no barrier, no overflow."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import Page

from kndb_serve.asked import address
from odd_labels import EVIL

Visit = Callable[..., Page]

pytestmark = pytest.mark.browser

PLACES = {
    "small": (
        "/",
        "/?q=France",
        "/facts",
        "/fact/P36:Q142",
        "/neurons",
        "/neuron/0:1",
        "/relations",
        "/relation/P36",
        "/languages",
        "/language/en",
        "/layers",
        "/edits",
        "/runs",
        "/compare",
        "/graph?fact=P36:Q142",
        "/sql?q=FROM+prompt",
    ),
    "imported": ("/", "/fact/P36:u1", "/neuron/10:188", "/relation/P36", "/layers", "/graph"),
    "languages": ("/", "/fact/P36:Q962", "/facts", "/graph?fact=P36:Q962"),
    "files": ("/", "/fact/P36-Q142.html", "/graph/fact-P36-Q142.html", "/layers.html"),
    "evil": (
        "/",
        "/facts",
        address("fact", f"R{EVIL}:S{EVIL}"),
        address("relation", f"R{EVIL}"),
        address("language", f"l{EVIL}".lower()),
        "/neuron/0:1",
        "/layers",
        "/runs",
        "/compare",
        address("graph", params={"fact": f"R{EVIL}:S{EVIL}"}),
        "/sql?q=FROM+prompt",
        address("search", params={"q": EVIL}),
    ),
}
EVERY = [(site, place, 200) for site, places in PLACES.items() for place in places]
FAILING = [("small", "/sql?q=FROM+nothing", 400), ("small", "/no-such-page", 404)]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
BARRIERS = """async (rules) => {
    const found = await axe.run(rules ? {runOnly: rules, resultTypes: ["violations"]} : {});
    return found.violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .map((one) => `${one.id}: ${one.nodes[0].html}`);
}"""


@pytest.mark.parametrize(("site", "place", "status"), EVERY + FAILING)
def test_a_page_shuts_nobody_out(site: str, place: str, status: int, visit: Visit) -> None:
    page = visit(place, site, 360, status)
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate(AXE)
    assert not page.evaluate(BARRIERS, None)
    if site == "small":  # the other sites' pages have the same colours
        page.emulate_media(color_scheme="dark")
        assert not page.evaluate(BARRIERS, ["color-contrast"])
    assert page.evaluate("document.images.length") == 0
    assert all("/static/" in src for src in page.evaluate("[...document.scripts].map(s => s.src)"))


@pytest.mark.parametrize("width", [400, 1920, 2560])
def test_no_page_scrolls_sideways(width: int, visit: Visit) -> None:
    page = visit("/", "languages", width)
    for place in ("/fact/P36:Q962", "/facts", "/graph?fact=P36:Q962", "/sql?q=FROM+prompt"):
        page.goto(place)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place


def test_each_language_has_its_direction(visit: Visit) -> None:
    page = visit("/facts", "languages")
    arabic, chinese = (page.locator(f"td bdi[lang={lang}]").first for lang in ("ar", "zh"))
    assert arabic.inner_text() == "بنين"
    assert page.evaluate("(e) => getComputedStyle(e).direction", arabic.element_handle()) == "rtl"
    assert chinese.inner_text() == "贝宁"
    page.goto("/?q=بنين")
    assert page.locator("td a", has_text="P36:Q962").count() >= 1
