"""The web application: finds the page of a request, has it made in a thread, and renders it.

A page has one address in three forms: ``/fact/P36:Q962`` is HTML, with ``.json`` or ``.csv`` at its
end it is data.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Event, Thread, Timer
from urllib.parse import parse_qsl, unquote

import anyio
import duckdb
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kndb.errors import DatabaseLocked, KndbError, NotFound, UsageError
from kndb.store.sandbox import Ended, Workers
from kndb_serve.asked import Asked
from kndb_serve.judge import Busy, Judge
from kndb_serve.page import Page
from kndb_serve.pages import LEFT_OUT, Made, pages
from kndb_serve.reader import Reader
from kndb_serve.render import FORMS, Failure, render, render_failure
from kndb_serve.security import Guard
from kndb_serve.view import View

SECONDS = 15.0
"""Time for one page."""

AT_ONCE = 4
"""Pages made at the same time."""

WAITING = 64
"""Requests that may wait for their turn; more are turned away."""

WARMED = ("/", "/layers", "/neurons", "/languages", "/facts")
"""Pages made before anybody asks: they count what is in the whole file."""

STATIC = Path(__file__).parent / "static"

_LOGGER = logging.getLogger("kndb.serve")


class TooLong(KndbError):
    """A page took longer than it may."""


class TooMany(KndbError):
    """Too many requests wait."""


def application(
    path: Path,
    host: str = "127.0.0.1",
    token: str | None = None,
    seconds: float = SECONDS,
    sql: bool = True,
    judge: Judge | None = None,
    warm: bool = False,
) -> Starlette:
    """The application for the database at ``path``.

    Args:
        path: the database.
        host: where it will be bound; see ``security.Guard``.
        token: what requests must know.
        seconds: time for one page.
        sql: whether there is a page for queries in SQL.
        judge: what checks claims; without it, there is no page for them.
        warm: whether to make the slowest pages once it runs; see ``Site.warm``.
    """
    workers = Workers() if sql else None
    site = Site(Reader(path), seconds, pages(workers, judge), workers)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if warm:
            Thread(target=site.warm).start()
        yield
        site.close()

    app = Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/{path:path}", site.answer),
        ],
        lifespan=lifespan,
    )
    app.state.site = site
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(Guard, host=host, token=token)
    return app


class Site:
    """Finds and makes the pages of a database."""

    def __init__(
        self,
        reader: Reader,
        seconds: float,
        pages: Mapping[str, Made],
        workers: Workers | None = None,
    ) -> None:
        self.reader = reader
        self._seconds = seconds
        self.pages = pages
        self._workers = workers
        self._waiting = 0
        self._turns: anyio.CapacityLimiter | None = None

    def warm(self) -> None:
        """Make the slowest pages, so that what they count is remembered when somebody asks."""
        for place in (*WARMED, *self._language()):
            self.answered(parsed(place, "", ()))

    def _language(self) -> list[str]:
        """The page of the language with the most facts."""
        with suppress(KndbError), self.reader.lend() as database:
            found = self.reader.remember("languages", database.languages).to_dicts()
            most = sorted(found, key=lambda row: row["facts"], reverse=True)
            return [f"/language/{row['lang']}" for row in most[:1]]
        return []

    def close(self) -> None:
        """End what is being answered, and answer no more."""
        if self._workers is not None:
            self._workers.end()
        self.reader.close()

    async def answer(self, request: Request) -> Response:
        """The page of a request, or a sentence on why there is none."""
        asked = _parse(request, self.pages)
        if self._waiting >= WAITING:
            busy = TooMany("Too many requests wait for an answer; try again in a moment.")
            return _failed(asked, busy)
        if self._turns is None:
            self._turns = anyio.CapacityLimiter(AT_ONCE)
        self._waiting += 1
        try:
            return await run_sync(self.answered, asked, limiter=self._turns)
        finally:
            self._waiting -= 1

    def answered(self, asked: Asked) -> Response:
        """The page that is asked for, or a sentence on why there is none."""
        try:
            page = self._page(asked)
            return render(page, asked)
        except KndbError as error:
            return _failed(asked, error)
        except Exception:
            _LOGGER.exception("no answer to %s", asked.url())
            sentence = "The server failed to make this page; its log says why."
            return render_failure(Failure(500, sentence), asked)

    def _page(self, asked: Asked) -> Page:
        made = self.pages.get(asked.kind)
        if made is None or bool(asked.key) != made.keyed:
            sentence = "There is no such page."
            if made is None:
                sentence = LEFT_OUT.get(asked.kind, sentence)
            raise NotFound(sentence, [f"/{name}" for name in self.pages], "Pages")
        asked.check(made.params, made.longest)
        late = Event()
        with self.reader.lend() as database:

            def stop() -> None:
                late.set()
                database.interrupt()

            timer = Timer(self._seconds, stop)
            timer.daemon = True
            timer.start()
            try:
                view = View(database, asked, self.reader)
                return made.make(view, asked.key) if made.keyed else made.make(view)
            except (KndbError, duckdb.InterruptException) as error:
                if not late.is_set():
                    raise
                raise TooLong(
                    f"This page took longer than {self._seconds:g} seconds; ask for less, such as "
                    "one relation or language."
                ) from error
            finally:
                timer.cancel()


_STATUS: dict[type[KndbError], int] = {
    NotFound: 404,
    UsageError: 400,
    DatabaseLocked: 503,
    Busy: 503,
    TooMany: 503,
    TooLong: 503,
    Ended: 503,
}


def _failed(asked: Asked, error: KndbError) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    nearest = error.nearest if isinstance(error, NotFound) else ()
    heading = error.heading if isinstance(error, NotFound) else ""
    response = render_failure(Failure(status, str(error), nearest, heading), asked)
    if status == 503:
        response.headers["retry-after"] = "5"
    return response


def _parse(request: Request, offered: Collection[str]) -> Asked:
    """What a request asks. Keys may have any character, so raw bytes count."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.decode("latin-1").partition("?")[0]
    return parsed(path, request.scope["query_string"].decode("latin-1"), offered)


def parsed(path: str, query: str, offered: Collection[str]) -> Asked:
    """The page, key and parameters of an address.

    >>> parsed("/fact/P36%3AQ142.json", "run=5", ()).key
    'P36:Q142'
    """
    form = next((form for form in FORMS if path.endswith(f".{form}")), "html")
    if form != "html":
        path = path.removesuffix(f".{form}")
    kind, _, key = path.strip("/").partition("/")
    params = dict(parse_qsl(query, keep_blank_values=True))
    return Asked(unquote(kind) or "search", unquote(key), params, form, offered)
