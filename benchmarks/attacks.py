"""Queries that are made to take memory and time: how each ends, after how long, and its peak.

python benchmarks/attacks.py DATABASE
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

ATTACKS = (
    "FROM range(1000000000000)",
    "SELECT list_sort(range(400000000))",
    "SELECT format('{:>2000000000}', 'x')",
    "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "SELECT repeat('x', 3000000000)",
    "SELECT list_transform(range(30000), x -> list_sum(list_transform(range(30000), y -> x * y)))",
    "SELECT string_agg(repeat('x', 1000000), '') FROM range(100000)",
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT sum(n) FROM a",
    "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = b.range % 5",
    "SELECT histogram(hash(range)) FROM range(1000000000)",
)
COMMAND = "import sys; from kndb_cli.main import main; sys.exit(main())"
SECONDS = 10


def main() -> None:
    """Run each in a process of its own, and print a row of a Markdown table."""
    database = Path(sys.argv[1])
    limit = str(SECONDS)
    print("| query | exit | s | peak MiB of any so far | ends with |\n|---|---|---|---|---|")
    for sql in ATTACKS:
        command = [sys.executable, "-c", COMMAND, "sql", sql, "--db", str(database)]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--timeout", limit, "--format", "csv", "-o", "/dev/null"],
            capture_output=True,
            check=False,
        )
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        said = done.stderr.decode().strip().rpartition("\n")[2]
        print(f"| `{sql}` | {done.returncode} | {seconds:.1f} | {peak} | {said} |", flush=True)


if __name__ == "__main__":
    main()
