"""What people do with the pages: search by keyboard, slide, sort, share, draw."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from odd_labels import EVIL

Visit = Callable[..., Page]

pytestmark = pytest.mark.browser


def cells(page: Page, table: str, column: int = 1) -> list[str]:
    """The texts of a column."""
    texts: list[str] = page.locator(f"#{table} tbody td:nth-child({column})").all_inner_texts()
    return texts


def test_search_needs_no_mouse(visit: Visit) -> None:
    page = visit("/facts")
    page.keyboard.press("/")
    page.keyboard.type("France")
    option = page.get_by_role("option", name="France")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(option).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("France")
    assert page.locator("#facts tbody tr").count() == 3
    page.goto("/facts")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_suggestion_with_markup_is_text(visit: Visit) -> None:
    page = visit("/", "evil")
    page.locator("form.find input").fill("subject")
    option = page.get_by_role("option").first
    expect(option).to_contain_text("<script>alert(1)</script>")
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0


def test_a_slider_selects_at_once_and_stays_in_the_address(visit: Visit) -> None:
    page = visit("/fact/P36:Q142")
    before = cells(page, "neurons")
    slider = page.locator("input[name=tau]")
    slider.focus()
    for _ in range(2):
        slider.press("ArrowLeft")
    page.wait_for_url("**tau=0.1**")
    expect(page.locator("#neurons tbody td:first-child", has_text="1:5")).to_have_count(1)
    after = cells(page, "neurons")
    assert "1:5" not in before
    shared = page.context.new_page()
    shared.goto(page.url)
    assert cells(shared, "neurons") == after


def test_a_heading_sorts_and_the_link_shows_the_same(visit: Visit) -> None:
    page = visit("/facts")
    page.locator("#facts th", has_text="subject").locator("a").click()
    expect(page.locator("#facts th[aria-sort=ascending]")).to_contain_text("subject")
    at = page.locator("#facts th").all_inner_texts().index("subject") + 1
    subjects = cells(page, "facts", at)
    assert subjects == sorted(subjects)
    other = page.context.new_page()
    other.goto(page.url)
    assert cells(other, "facts", at) == subjects


def test_a_query_runs_and_its_link_is_shared(visit: Visit) -> None:
    page = visit("/sql")
    page.get_by_label("Query").fill("SELECT 6 * 7 AS answer, '<b>' AS markup")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#answer tbody tr")).to_have_text("42<b>")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#answer tbody tr")).to_have_text("42<b>")


def test_a_site_of_files_is_searched_and_walked(visit: Visit) -> None:
    page = visit("/fact/P36-Q983.html", "files")
    page.keyboard.press("/")
    page.keyboard.type("paris")
    option = page.get_by_role("option", name="France → Paris")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/fact/P36-Q142.html")
    page.get_by_role("link", name="Graph").click()
    page.wait_for_url("**/graph/fact-P36-Q142.html")
    page.get_by_label("Languages").uncheck()
    expect(page.locator(".node.language").first).to_be_hidden()


def test_the_theme_is_remembered(visit: Visit) -> None:
    page = visit("/")
    page.get_by_role("button", name="Use the dark theme").click()
    page.goto("/facts")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_graph_is_dragged_zoomed_filtered_and_saved(visit: Visit, tmp_path: Path) -> None:
    page = visit("/graph?fact=P36:Q142")
    node = page.locator('[data-node="neuron 0:7"]')
    edge = page.locator('.edge[data-b="neuron 0:7"], .edge[data-a="neuron 0:7"]').first
    path, place = edge.get_attribute("d"), node.get_attribute("transform")
    node.scroll_into_view_if_needed()
    box = node.locator("path").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=4)
    page.mouse.up()
    assert node.get_attribute("transform") != place
    assert edge.get_attribute("d") != path
    assert "/graph?" in page.url  # what was dragged is not followed as a link
    page.get_by_role("button", name="Closer").click()
    expect(page.locator("svg.network .all")).to_have_attribute(
        "transform", re.compile("translate.*scale")
    )
    page.get_by_label("Languages").uncheck()
    expect(page.locator(".node.language").first).to_be_hidden()
    page.get_by_label("Find").fill("0:7")
    expect(page.locator('[data-node="neuron 1:3"]')).to_be_hidden()
    expect(node).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    download.value.save_as(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    node.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/neuron/0%3A7")


def test_pages_are_whole_without_scripts(browser: Browser, sites: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=sites["small"])
    page = context.new_page()
    page.goto("/graph?fact=P36:Q142")
    assert page.locator("svg.network .node").count() == 7
    page.goto("/fact/P36:Q142")
    page.get_by_role("button", name="Apply").click()
    assert page.locator("#neurons tbody tr").count() == 3
    page.locator("form.find input").fill("Guinea")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Guinea")
    context.close()


def test_nothing_evil_happens_while_one_looks_around(visit: Visit) -> None:
    page = visit("/facts", "evil")
    page.locator("#facts tbody a").first.click()
    expect(page.locator("h1")).to_contain_text(EVIL[:20])
    for heading in ("#neurons", "#prompts"):
        page.locator(f"{heading} th a").first.click()
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0
