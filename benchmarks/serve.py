"""Time and size of the pages of ``kndb serve`` on an index as large as the published one.

The lists of AMIG for bert-base-uncased have 304,711 neurons of 27,610 facts. This makes a fact set
and lists of those sizes, imports them as ``kndb import`` does, and asks for each page in this
process: time, and in brackets processor time of all threads, of the first request to a server that
remembers nothing (cold), of the first to one that has made the pages which ``kndb serve`` makes
when it starts, and the median of five more. A database of any size, as ``benchmarks/rows.py``
makes it, can be given instead.

    python benchmarks/serve.py --db index.duckdb
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from starlette.testclient import TestClient

from kndb_ingest.published.importer import import_published
from kndb_serve.app import application

FACTS, NEURONS = 27_610, 304_711
RELATIONS, TEMPLATES = 34, 8
LAYERS, WIDTH = 12, 3072


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", type=Path, required=True, help="made if it is not there")
    path = parser.parse_args().db
    if not path.exists():
        make_index(path)
    with _client(path) as client:
        names = _names(client)
    places = [place.format(**names) for place in PLACES]
    cold = {place: _first(path, place) for place in places}
    print("| page | cold, ms | first, ms | later, ms | kB |\n|---|---:|---:|---:|---:|")
    for place in places:
        with _client(path, warm=True) as client:
            first = _asked(client, place)
            later = [_asked(client, place) for _ in range(5)]
        middle = sorted(later)[len(later) // 2]
        print(f"| `{place}` | {cold[place]} | {first} | {middle} | {first.kilobytes:.0f} |")


class Cost(NamedTuple):
    """What one request took."""

    ms: float
    cpu: float
    kilobytes: float

    def __str__(self) -> str:
        return f"{self.ms:.0f} ({self.cpu:.0f})"


def _client(path: Path, warm: bool = False) -> TestClient:
    """A new server."""
    app = application(path)
    if warm:
        app.state.site.warm()
    return TestClient(app, base_url="http://localhost")


def _first(path: Path, place: str) -> Cost:
    """The first request to a new server."""
    with _client(path) as client:
        return _asked(client, place)


PLACES = (
    "/",
    "/?q={subject}",
    "/?q={mistyped}",
    "/suggest.json?q={typed}",
    "/facts",
    "/facts?sort=facts:-subject",
    "/fact/{fact}",
    "/neurons",
    "/neurons?sort=neurons:score",
    "/neuron/{neuron}",
    "/relation/{relation}",
    "/language/{lang}",
    "/layers",
)


def _names(client: TestClient) -> dict[str, str]:
    """A fact and so on that the file has."""
    first = "/sql.json?q=" + quote(
        "SELECT fact_key, relation_id, lang, subject, layer || ':' || neuron AS neuron "
        "FROM fact JOIN prompt USING (fact_id) JOIN knowledge_neuron USING (fact_id, lang) "
        "ORDER BY lang, fact_key, layer, neuron LIMIT 1"
    )
    (row,) = client.get(first).json()["tables"]["answer"]["rows"]
    subject = row["subject"]
    names = {
        "fact": row["fact_key"],
        "relation": row["relation_id"],
        "lang": row["lang"],
        "neuron": row["neuron"],
        "subject": subject,
        "mistyped": subject[:3] + subject[4:],
        "typed": subject[:4],
    }
    return {name: quote(value) for name, value in names.items()}


def _asked(client: TestClient, place: str) -> Cost:
    began, cpu = time.perf_counter(), time.process_time()
    answer = client.get(place)
    ms, cpu = 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu)
    return Cost(ms, cpu, len(answer.content) / 1000)


def make_index(path: Path) -> None:
    """A database of the published size, with facts in ParaRel's form."""
    with tempfile.TemporaryDirectory() as folder:
        facts, neurons = Path(folder, "pararel"), Path(folder, "neurons")
        uuids = _write_facts(facts)
        _write_neurons(neurons, uuids)
        done = import_published(path, [neurons], facts, "bert-base-uncased")
    print(f"{path}: {done.facts:,} facts, {done.neurons:,} neurons, run {done.run_id}")


def _write_facts(root: Path) -> list[str]:
    uuids = []
    for folder in ("pattern_data/graphs_json", "trex_lms_vocab"):
        (root / folder).mkdir(parents=True)
    for at in range(RELATIONS):
        relation = f"P{100 + at}"
        patterns = [
            {"pattern": f"[X] stands in relation {at} to [Y] , {n} ."} for n in range(TEMPLATES)
        ]
        records = [
            {
                "uuid": f"{number:08x}",
                "sub_label": f"Subject {number}",
                "obj_label": f"Answer {number % 300}",
            }
            for number in range(at, FACTS, RELATIONS)
        ]
        uuids += [record["uuid"] for record in records]
        _write_lines(root / "pattern_data/graphs_json" / f"{relation}.jsonl", patterns)
        _write_lines(root / "trex_lms_vocab" / f"{relation}.jsonl", records)
    return uuids


def _write_neurons(root: Path, uuids: list[str]) -> None:
    """Lists of neurons: most in the upper layers, and few that many facts use."""
    root.mkdir()
    random = np.random.default_rng(0)
    places = random.permutation(LAYERS * WIDTH)
    layer_weight = np.exp(np.arange(LAYERS) / 3)[places // WIDTH]
    weight = layer_weight / np.arange(1, places.size + 1) ** 0.6
    weight /= weight.sum()
    sizes = np.full(len(uuids), NEURONS // FACTS)
    sizes[: NEURONS - sizes.sum()] += 1
    lists = {}
    for uuid, size in zip(uuids, sizes, strict=True):
        chosen = places[random.choice(places.size, 4 * size, p=weight)]
        distinct = np.array(list(dict.fromkeys(chosen.tolist()))[:size])
        lists[uuid] = np.column_stack(np.divmod(distinct, WIDTH)).tolist()
    (root / "all.json").write_text(json.dumps(lists))


def _write_lines(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


if __name__ == "__main__":
    main()
