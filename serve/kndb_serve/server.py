"""Runs the web application until it is told to stop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from anyio.to_thread import run_sync

from kndb.errors import UsageError
from kndb.models.choice import ModelChoice
from kndb_serve.app import Site, application
from kndb_serve.judge import Judge
from kndb_serve.security import check_binding

PORT = 8765
"""The port without ``--port``; if it is taken, a free one."""


def serve(
    path: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    ready: Callable[[str], None] = print,
    sql: bool = True,
    model: ModelChoice | None = None,
) -> None:
    """Serve the database until Ctrl-C.

    Args:
        path: the database.
        host: where to listen.
        port: 0 for any; None for the usual one, or any if that is taken.
        token: what requests must know.
        ready: called with the address once requests are accepted.
        sql: whether there is a page for queries in SQL.
        model: checks claims.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: others could reach the server without a token, or the port is taken.
    """
    check_binding(host, token)
    listening = _bound(host, port)
    judge = None if model is None else Judge(path, model.load(), model.memory)
    app = application(path, host, token, sql=sql, judge=judge, warm=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/"
    _Server(config, app.state.site, partial(ready, address)).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends at Ctrl-C without waiting for what is being answered, and at a second one at once."""

    def __init__(self, config: uvicorn.Config, site: Site, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._site = site
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()  # not before: from here on, Ctrl-C ends it in good order

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await run_sync(self._site.close)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + sig)  # it only reads: there is nothing to lose
        super().handle_exit(sig, frame)


def _bound(host: str, port: int | None) -> socket.socket:
    try:
        return listen(host, PORT if port is None else port)
    except OSError as error:
        if port is not None:
            raise UsageError(
                f"{host} port {port} cannot be used: {error.strerror}; give another --port."
            ) from error
    return listen(host, 0)


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on.

    Raises:
        OSError: the port is taken, or is not ours to take.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen()  # so that requests are kept from now on
    except OSError:
        made.close()
        raise
    return made
