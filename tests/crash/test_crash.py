"""A command that is killed and run again stores what it stores undisturbed.

Killed with SIGKILL: before statements and commits, while the log is there, inside checkpoints, and
at random times. Afterwards the database is sound and opens, and the same command goes on.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crash.forking import MOMENTS, Commands, Kill, Moment, commands
from kndb.errors import DatabaseCorrupt
from kndb.store.check import check_database
from kndb.store.score_folder import scores_folder
from same_rows import KEYS, assert_same_rows
from saved_models import saved

EXACT = 1e-6
"""Figures agree within this share of the largest in their column: scores, of the top score."""

CAPITALS = {"France": "Paris", "Japan": "Tokyo", "Spain": "euro", "Germany": "Paris"}
TEMPLATES = ("The capital of [X] is [Y] .", "[Y] is the capital of [X] .", "People in [X] [Y] .")
DEGENERATE = ("graph", "degenerate", "--t-low", "0.1", "--t-high", "0.1", "--top", "8")
EDITS = [
    {"fact": "P36:France", "target": "Tokyo", "target_lang": "en"},
    {"fact": "P36:Japan", "mode": "erase"},
    {"fact": "P36:Spain", "mode": "suppress"},
    {"fact": "P36:Germany", "mode": "enhance"},
    {"fact": "P36:Japan", "mode": "fit", "target": "Paris", "target_lang": "en"},
]


@dataclass(frozen=True)
class Job:
    """A command: its arguments, whether it changes a database with a finished ingest, and the jobs
    whose databases it reads."""

    args: tuple[str, ...]
    on_a_run: bool = False
    reads: tuple[str, ...] = ()


MODEL = ("--model", "model", "--quiet")
JOBS = {
    # No path is refined, so that rounding in batches of another size decides nothing.
    "ingest": Job(("ingest", *MODEL, "--dataset", "facts.jsonl", "--preset", "ig-zero")),
    "ingest-all": Job(
        ("ingest", *MODEL, "--dataset", "facts.jsonl", "--preset", "ig-zero", "--keep", "all")
    ),
    "degenerate": Job((*DEGENERATE, *MODEL), on_a_run=True),
    "edit": Job(("edit", *MODEL, "--file", "edits.jsonl"), on_a_run=True),
    "import": Job(("import", "lists.json", "--facts", "pararel", "--model", "other", "--quiet")),
    "merge": Job(
        ("merge", "ingest.duckdb", "import.duckdb", "-o", "k.duckdb", "--quiet"),
        reads=("ingest", "import"),
    ),
}


@dataclass(frozen=True)
class Undisturbed:
    """What a job does that nobody kills.

    Attributes:
        database: the database after it.
        seconds: how long it took.
        counts: how often it got to each moment.
    """

    database: Path
    seconds: float
    counts: dict[str, int]


@dataclass(frozen=True)
class Scene:
    """A folder with all that commands need, and what each of them stores undisturbed."""

    folder: Path
    commands: Commands
    done: dict[str, Undisturbed] = field(default_factory=dict)

    def whole(self, name: str) -> Undisturbed:
        """A job that nobody kills, after those that it needs; each is run once."""
        if name not in self.done:
            for needed in JOBS[name].reads:
                self.whole(needed)
            database = self.start(name)
            ended = self.commands.run(self.folder, JOBS[name].args)
            assert ended.code == 0, ended.output
            kept = self.folder / f"{name}.duckdb"
            shutil.move(database, kept)
            self.done[name] = Undisturbed(kept, ended.seconds, ended.counts)
        return self.done[name]

    def start(self, name: str) -> Path:
        """The database as it is before a job."""
        database = self.folder / "k.duckdb"
        for old in (database, database.with_suffix(".duckdb.wal")):
            old.unlink(missing_ok=True)
        shutil.rmtree(scores_folder(database), ignore_errors=True)
        if JOBS[name].on_a_run:
            shutil.copyfile(self.whole("ingest").database, database)
        return database


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("crash")
    (folder / "model").symlink_to(saved("tiny-bert"))
    (folder / "facts.jsonl").write_text("\n".join(map(json.dumps, facts())))
    (folder / "edits.jsonl").write_text("\n".join(map(json.dumps, EDITS)))
    write_published(folder)
    with commands() as ready:
        yield Scene(folder, ready)


def facts() -> Iterator[dict[str, str]]:
    for subject, capital in CAPITALS.items():
        for template in TEMPLATES:
            yield {
                **{"relation": "P36", "subject_id": subject, "object_id": f"of-{capital}"},
                **{"lang": "en", "template": template, "subject": subject, "answer": capital},
            }


def write_published(folder: Path) -> None:
    """Lists of neurons, and the ParaRel folder that they belong to."""
    for part in ("graphs", "pattern_data/graphs_json", "trex_lms_vocab"):
        (folder / "pararel" / part).mkdir(parents=True)
    patterns = "\n".join(json.dumps({"pattern": text}) for text in TEMPLATES[:2])
    (folder / "pararel/pattern_data/graphs_json/P36.jsonl").write_text(patterns)
    records = [
        {"uuid": f"u{n}", "sub_label": subject, "obj_label": capital}
        for n, (subject, capital) in enumerate(CAPITALS.items())
    ]
    (folder / "pararel/trex_lms_vocab/P36.jsonl").write_text("\n".join(map(json.dumps, records)))
    lists = {f"u{n}": [[n, 10 * m] for m in range(40)] for n in range(len(CAPITALS))}
    (folder / "lists.json").write_text(json.dumps(lists))


def kill_and_repeat(scene: Scene, name: str, *kills: Kill) -> bool:
    """Kill a job, each time it is run again, and compare; False if it was too fast to be killed."""
    whole = scene.whole(name).database
    database = scene.start(name)
    for kill in kills:
        if not scene.commands.run(scene.folder, JOBS[name].args, kill).killed:
            return False
        check_what_is_left(database)
    again = scene.commands.run(scene.folder, JOBS[name].args)
    assert again.code == 0, (kills, again.output)
    assert check_database(database) == []
    assert_same_rows(database, whole, list(KEYS), EXACT, EXACT)
    return True


def check_what_is_left(database: Path) -> None:
    """The database is sound, unless the job was killed while it made the file."""
    if database.exists():
        try:
            found: list[object] = [*check_database(database)]
        except DatabaseCorrupt as error:
            found = [] if "is an empty database" in str(error) else [error]
        assert found == []


FEW: dict[str, list[Moment]] = {
    "ingest": [("log", 3), ("statement", 20)],
    "ingest-all": [("commit", 2), ("statement", 25)],
    "degenerate": [("after_free_list_write", 3), ("commit", 6)],  # all but "finished"
    "edit": [("commit", 2), ("before_truncate", 2)],
    "import": [("before_header", 2), ("statement", 12)],
    "merge": [("commit", 2), ("statement", 30)],
}


DAILY = "ingest-all"
"""It writes all that an ingest writes, and files beside the database."""


@pytest.mark.parametrize(
    "name", [DAILY, *(pytest.param(n, marks=pytest.mark.long) for n in FEW if n != DAILY)]
)
def test_killed_twice(scene: Scene, name: str) -> None:
    assert kill_and_repeat(scene, name, *map(Kill, FEW[name]))


KILLS = 50


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
def test_killed_again_and_again(scene: Scene, name: str) -> None:
    """Half of the kills at moments that matter, a quarter around a log, a quarter at any time."""
    seed = random.Random(name)
    whole = scene.whole(name)
    counts, seconds = whole.counts, whole.seconds
    for moment in moments(counts, KILLS // 2):
        assert kill_and_repeat(scene, name, Kill(moment)), moment
    left = KILLS - KILLS // 2
    drawn: list[Callable[[], Kill]] = [
        lambda: Kill(log=seed.randint(1, counts["log"]), later=seed.uniform(0, 0.004)),
        lambda: Kill(seconds=seed.uniform(0, seconds)),
    ]
    for number in range(100 * KILLS):
        left -= kill_and_repeat(scene, name, drawn[number % 2]())
        if not left:
            return
    pytest.fail(f"{left} kills came too late")


def moments(counts: dict[str, int], total: int) -> list[Moment]:
    """So many moments, of each kind alike, spread over the job."""
    chosen: list[Moment] = []
    for place, kind in enumerate(MOMENTS):
        share = (total - len(chosen)) // (len(MOMENTS) - place)
        n = counts[kind]
        chosen += [(kind, 1 + at * n // share) for at in range(share)][:share]
    return chosen
