"""One headless Chromium for all tests, and the site of a database in a thread of this process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import pytest
import uvicorn
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from kndb_ingest.published.importer import import_published
from kndb_serve.app import application
from kndb_serve.export import export_site
from kndb_serve.server import listen
from odd_labels import evil_database, languages_database
from published_lists import write_facts, write_neurons
from small_store import finished_run

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Dialog,
        Page,
        Request,
        ViewportSize,
    )

# `make test-browser` installs the extra; without it, the other tests still run.
_NEEDED = ("playwright", "axe_playwright_python")
collect_ignore_glob = [] if all(map(find_spec, _NEEDED)) else ["test_*.py"]

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("These tests need Chromium; on Debian: apt-get install chromium.")
    from playwright.sync_api import sync_playwright  # Deferred: an extra.

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield made
        made.close()


@contextmanager
def _served(app: ASGIApp) -> Iterator[str]:
    """The address of a site."""
    listening = listen("127.0.0.1", 0)
    lifespan: Literal["on", "off"] = "off" if isinstance(app, StaticFiles) else "on"
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan=lifespan)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of sites, by the name of their database."""
    folder = tmp_path_factory.mktemp("sites")
    small = folder / "small.duckdb"
    finished_run(small)
    finished_run(small, factor=0.5, seed=1)
    evil_database(folder / "evil.duckdb")
    languages_database(folder / "languages.duckdb")
    facts, neurons = write_facts(folder), write_neurons(folder)
    import_published(folder / "imported.duckdb", [neurons], facts, "bert-base-uncased")
    export_site(small, folder / "files")
    names = ("small", "evil", "languages", "imported")
    apps: dict[str, ASGIApp] = {name: application(folder / f"{name}.duckdb") for name in names}
    apps["files"] = StaticFiles(directory=folder / "files", html=True)
    with ExitStack() as stack:
        yield {name: stack.enter_context(_served(app)) for name, app in apps.items()}


class Watch:
    """Writes down what a page should not do: complain, open a dialog, ask another host."""

    def __init__(self, page: Page, origin: str, status: int) -> None:
        self.wrong: list[str] = []
        self._origin = origin
        # Chromium also complains where the page itself is meant to have another status than 200.
        self._meant = f"status of {status} " if status != 200 else None
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if self._meant is None or self._meant not in message.text:
            self.wrong.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._origin}/", f"blob:{self._origin}/")):
            self.wrong.append(f"asked {request.url}")


@pytest.fixture
def visit(browser: Browser, sites: dict[str, str]) -> Iterator[Callable[..., Page]]:
    """Opens a page of a site, and watches it until the test ends."""
    watches = []
    with ExitStack() as stack:

        def opened(place: str, site: str = "small", width: int = 1280, status: int = 200) -> Page:
            size: ViewportSize = {"width": width, "height": 900}
            context = browser.new_context(viewport=size, base_url=sites[site])
            stack.callback(context.close)
            page = context.new_page()
            watches.append(Watch(page, sites[site], status))
            answer = page.goto(place)
            assert answer is not None
            assert answer.status == status
            return page

        yield opened
    assert not [wrong for watch in watches for wrong in watch.wrong]
