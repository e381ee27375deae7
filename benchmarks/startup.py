"""What short commands take, beside the import of the two libraries that they cannot do without.

    python benchmarks/startup.py DATABASE [--runs 25]

Processor time, user and system, of whole processes (with those that they start), one after the
other in turns, so that all see the same machine. The commands write into a pipe. Their modules are
compiled beforehand, as in any installation: where PYTHONDONTWRITEBYTECODE is set, as in many
containers, they would be compiled anew for each command.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from statistics import median

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
RUN = "import sys; from kndb_cli.main import main; sys.exit(main())"


def commands(database: str) -> dict[str, list[str]]:
    """What is compared, the yardstick first."""
    kndb = [sys.executable, "-c", RUN]
    return {
        "import duckdb, typer": [sys.executable, "-c", "import duckdb, typer"],
        "kndb query": [*kndb, "query", "--lang", "en", "--top", "3", "--db", database],
        "kndb query, table": [
            *(*kndb, "query", "--lang", "en", "--top", "3", "--db", database),
            *("--format", "table"),
        ],
        "kndb sql": [*kndb, "sql", "SELECT 1", "--db", database],
        "kndb runs": [*kndb, "runs", "--db", database],
    }


def processor_time(command: list[str]) -> float:
    """Seconds of a process and those it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print medians, and their ratios to the first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database")
    parser.add_argument("--runs", type=int, default=25)
    args = parser.parse_args()
    every = commands(args.database)
    for command in every.values():  # its modules are compiled, and its files in memory
        processor_time(command)
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(args.runs):
        for name, command in every.items():
            seconds[name].append(processor_time(command))
    least = median(next(iter(seconds.values())))
    for name, taken in seconds.items():
        print(f"{name:<22} {median(taken):.3f} s  {median(taken) / least:.2f}")


if __name__ == "__main__":
    main()
