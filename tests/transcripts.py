"""Console blocks of a page: run as written, compared with the output shown, or rewritten.

``python tests/transcripts.py docs/tutorial.md README.md`` runs the blocks of the pages, in order,
on a new database. If a command's output differs from its block, the page is updated. Blocks that
show no output are not run, except for their exports; to have the output of a new one written, put a
line with ``...`` below its command.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import zip_longest
from math import isclose, log10
from pathlib import Path

from typer.main import get_command

from example_lines import console_blocks, parse
from kndb_cli.main import application, main

_PROGRESS = re.compile(r"^(Loading .*|.*: [\d,]+ of [\d,]+ \S+(?:, .* left)?)$\n?", re.MULTILINE)
_TIME = re.compile(r"\d[\d,.]*(?= s\b|/s\b| \w+/s\b| s/\w+\b)")
_TOKEN = re.compile(
    r"""[^\W\d_]\w*                                    # a word, or an identifier such as P36
    | \d+:\d+                                          # a neuron
    | (?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?  # a number
    | [^\s\w─]                                         # a mark; rules of tables vary in length
    """,
    re.VERBOSE,
)
_ID = re.compile(r"\d{12,}")

TUTORIAL, DEMO = "tutorial.duckdb", "demo.duckdb"
"""The databases of the tutorial and the README; the first is also used for the README."""


@dataclass
class Session:
    """Commands run one after the other in the same folder, as in one terminal.

    Ids depend on their contents, down to the settings of a run. If the printed id differs from the
    one on the page, later commands are run with the printed one.
    """

    ids: dict[str, str] = field(default_factory=dict)

    def run(self, line: str) -> str:
        """What the line prints: data first, then notes, without progress."""
        name, equals, value = line.removeprefix("export ").partition("=")
        if line.startswith("export ") and equals:
            os.environ[name] = value
            return ""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            code = main(self.arguments(line))
        out.seek(0)
        err.seek(0)
        notes = err.read()
        assert code == 0, f"{line}\n{notes}"
        return out.read() + _PROGRESS.sub("", notes)

    def arguments(self, line: str) -> list[str]:
        """The line's words, with today's ids, and as a table where a terminal would have one."""
        words = [self.today(word) for word in shlex.split(line, comments=True)[1:]]
        given = parse(get_command(application(words)), line)
        plain = "json" in given and not (given["format"] or given["json"] or given["output"])
        return [*words, *(["--format", "table"] if plain else [])]

    def today(self, word: str) -> str:
        """The id that was printed where the page shows one that begins like this."""
        if len(word) < 4 or not word.isdecimal():
            return word
        return next((new for old, new in self.ids.items() if old.startswith(word)), word)

    def learn(self, shown: str, printed: str) -> None:
        """Remember which id was printed where the page shows another."""
        self.ids |= dict(zip(_ID.findall(shown), _ID.findall(printed), strict=False))


def steps(block: str) -> Iterator[tuple[str, str]]:
    """The pairs of a typed line and what the block shows below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield line, shown


def difference(shown: str, printed: str) -> tuple[str, str] | None:
    """The first pair of tokens in which two outputs differ by more than another machine can.

    Words, marks and neurons must be the same, numbers as near as :func:`near` requires; times and
    ids may differ. None if there is no difference.
    """
    ours, theirs = (_TOKEN.findall(_TIME.sub("0", text)) for text in (shown, printed))
    pairs = zip_longest(ours, theirs, fillvalue="nothing")
    return next((pair for pair in pairs if not near(*pair)), None)


def near(shown: str, printed: str) -> bool:
    """Whether two tokens are the same, or numbers alike.

    Numbers may differ by 5 %, or by one in their last place. Very small ones (1e-40) are compared
    by their exponents: each additional neuron changes a p-value by a factor.

    >>> near("0.4451", "0.4460"), near("40", "41"), near("4e-36", "9e-35"), near("2:641", "2:642")
    (True, True, True, False)
    """
    if shown == printed or (_ID.fullmatch(shown) and _ID.fullmatch(printed)):
        return True
    if not (_is_number(shown) and _is_number(printed)):
        return False
    a, b = (float(text.replace(",", "")) for text in (shown, printed))
    if "e" in shown + printed and a > 0 < b:
        return abs(log10(a) - log10(b)) < max(1.0, 0.1 * abs(log10(a)))
    return isclose(a, b, rel_tol=0.05, abs_tol=1.01 * 10.0 ** -len(shown.partition(".")[2]))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(,\d{3})*(\.\d+)?(e-?\d+)?", text) is not None


def play(text: str, session: Session) -> Iterator[tuple[str, str, str]]:
    """Run the blocks of a page that show output: each line, what is shown, what is printed."""
    for block in console_blocks(text):
        parts = list(steps(block))
        shows = any(shown for _, shown in parts)
        for line, shown in parts:
            if line.startswith("export KNDB_") or (shows and re.match(r"(\S*/)?kndb ", line)):
                printed = session.run(line)
                session.learn(shown, printed)
                yield line, shown, printed


def rewrite(page: Path, session: Session) -> None:
    """Replace the output shown on the page where it differs from what is printed now."""
    text = new = page.read_text(encoding="utf-8")
    for line, shown, printed in play(text, session):
        if difference(shown, printed):
            new = new.replace(f"$ {line}\n{shown}", f"$ {line}\n{_trimmed(printed)}")
    page.write_text(new, encoding="utf-8")


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        same = Session()
        for page in pages:
            rewrite(page, same)
            shutil.copy(TUTORIAL, DEMO)
