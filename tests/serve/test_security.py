"""Who is answered, with which headers, and what labels with markup become."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kndb.errors import UsageError
from kndb_serve.asked import address
from kndb_serve.security import check_binding
from odd_labels import EVIL, evil_database
from serving import client_of

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("place", ["/", "/facts.json", "/facts.csv", "/static/kndb.js", "/none"])
def test_every_answer_has_the_headers(place: str, client: TestClient) -> None:
    headers = client.get(place).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "127.0.0.1:1", "[::1]:8765", "127.1.2.3"]
)
def test_this_machine_is_answered(host: str, client: TestClient) -> None:
    assert client.get("/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "127.0.0.1.example.org", "", "192.168.0.1"]
)
def test_another_name_for_this_machine_is_refused(host: str, client: TestClient) -> None:
    answer = client.get("/facts", headers={"host": host})
    assert answer.status_code == 421
    assert "France" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_allowed(method: str, client: TestClient) -> None:
    answer = client.request(method, "/facts")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_has_no_body(client: TestClient) -> None:
    answer = client.head("/facts")
    assert (answer.status_code, answer.text) == (200, "")


@pytest.fixture
def guarded(path: Path) -> TestClient:
    return client_of(path, "0.0.0.0", token=TOKEN)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer "},
        {"cookie": f"kndb_serve={TOKEN}"},
        {"cookie": "kndb_serve="},
    ],
)
def test_without_the_token_nothing_is_answered(
    headers: dict[str, str], guarded: TestClient
) -> None:
    for place in ("/facts", "/static/kndb.css", "/?token=no"):
        answer = guarded.get(place, headers=headers)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


def test_the_token_is_taken_as_a_header(guarded: TestClient) -> None:
    answer = guarded.get("/facts", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_the_token_in_the_address_becomes_a_cookie(guarded: TestClient) -> None:
    answer = guarded.get(f"/facts?token={TOKEN}", headers={"host": "lab.example.org"})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert TOKEN not in answer.text
    guarded.cookies.clear()
    sent = {"cookie": cookie.partition(";")[0]}
    assert guarded.get("/facts", headers=sent).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="--token"):
        check_binding(host, None)
    check_binding(host, TOKEN)
    with pytest.raises(UsageError, match="at least 16"):
        check_binding(host, TOKEN[:-1])


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    path = tmp_path_factory.mktemp("evil") / "evil.duckdb"
    evil_database(path)
    return client_of(path)


class Seen(HTMLParser):
    """All that a reader sees or hears: not the values that a form sends back as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for name, value in attrs if name != "value"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def evil_places() -> list[str]:
    relation, lang = f"R{EVIL}", f"l{EVIL}".lower()
    return [
        *("/", "/facts", "/neurons", "/relations", "/languages", "/layers", "/edits", "/runs"),
        address("search", params={"q": "subject"}),
        address("search", params={"q": EVIL}),
        address("fact", f"{relation}:S{EVIL}"),
        address("relation", relation),
        address("language", lang),
        address("layers", params={"relation": relation, "lang": lang}),
        "/neuron/0:1",
        address("fact", EVIL),
        address(EVIL),
        address("facts", params={"sort": f"facts:{EVIL}"}),
        address("facts", params={EVIL: "1"}),
        address("runs", params={"run": EVIL}),
    ]


@pytest.mark.parametrize("place", evil_places())
def test_labels_with_markup_are_text(place: str, evil: TestClient) -> None:
    answer = evil.get(place)
    assert answer.status_code in (200, 400, 404), answer.text
    assert "<script>" not in answer.text
    assert "<img" not in answer.text
    seen = Seen()
    seen.feed(answer.text)
    assert not {"\x1b", "\u202e"} & {*"".join(seen.texts)}


def test_the_labels_were_there(evil: TestClient) -> None:
    page = evil.get(address("fact", f"R{EVIL}:S{EVIL}")).text
    for label in ("subject", "answer", "relation", "model", "data", "preset"):
        assert f"{label}&#34;&gt;&lt;script&gt;" in page, label
