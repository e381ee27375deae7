"""Writes a database with every earlier schema, by the kndb of that time, taken from the history.

    python tests/store/old_databases/make.py

For each revision but the newest, the last commit before the next one is unpacked and run: facts
through the demo model and, where that kndb could, a degenerate search and an edit. The results lie
beside this file, compressed. They are made once, when a revision is superseded.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from kndb_migrations import REVISIONS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VERSIONS = "migrations/kndb_migrations/versions"

RUN = "import sys; from kndb_cli.main import main; sys.exit(main())"
DEMO = ROOT / "ingest/kndb_ingest/demo"  # the oldest kndb had none
MODEL = ("--model", str(ROOT / "kndb/models/embedded/demo-masked"))
STEPS = {
    "0001": (
        "ingest",
        *MODEL,
        *(
            "--dataset",
            str(DEMO / "demo.jsonl"),
            "--relations",
            "P36",
            "--langs",
            "en,zh",
            "--limit",
            "3",
        ),
    ),
    "0002": ("graph", "degenerate", *MODEL, "--top", "3"),
    "0004": ("edit", *MODEL, "--fact", "{fact}", "--mode", "erase"),
}
"""What to run, from which revision on."""


def git(*args: str) -> bytes:
    """The output of a git command in this repository."""
    return subprocess.run(["git", "-C", str(ROOT), *args], check=True, capture_output=True).stdout


def last_commit_of(revision: str) -> str:
    """The last commit whose newest revision was this one."""
    following = REVISIONS[REVISIONS.index(revision) + 1]
    log = git("log", "--format=%H", "--diff-filter=A", "--", f"{VERSIONS}/v{following}_*")
    return log.decode().split()[-1] + "^"


def make(revision: str, folder: Path) -> bytes:
    """The database that the kndb of this revision writes."""
    archive = git("archive", last_commit_of(revision), "kndb", "ingest", "cli", "migrations")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    path = folder / "old.duckdb"
    parts = (".", "ingest", "cli", "migrations")
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(folder / part) for part in parts),
        "KNDB_DB": str(path),
    }
    fact = ""
    for since, step in STEPS.items():
        if since > revision:
            continue
        arguments = [part.format(fact=fact) for part in step]
        command = [sys.executable, "-c", RUN, *arguments, "--quiet"]
        subprocess.run(command, check=True, env=env, cwd=folder, stdout=subprocess.DEVNULL)
        fact = fact or _first_fact(env, folder)
    return path.read_bytes()


def _first_fact(env: dict[str, str], folder: Path) -> str:
    command = [sys.executable, "-c", RUN, "sql", "SELECT min(fact_key) FROM fact"]
    done = subprocess.run(command, check=True, env=env, cwd=folder, capture_output=True, text=True)
    return done.stdout.split()[-1]


def main() -> None:
    """Make the databases that are not there yet."""
    for revision in REVISIONS[:-1]:
        target = HERE / f"v{revision}.duckdb.gz"
        if not target.exists():
            with tempfile.TemporaryDirectory() as folder:
                target.write_bytes(gzip.compress(make(revision, Path(folder)), 9, mtime=0))
            print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
