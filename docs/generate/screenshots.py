"""Takes the README's picture of ``kndb serve``: the page of a fact of the demo, in light colours.

``python docs/generate/screenshots.py demo.duckdb docs/pictures/fact-page.png`` needs Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

PAGE = "fact/P37%3AQ424"
"""A fact of the demo with a neuron that all languages share."""

WIDTH, HEIGHT = 1280, 860
COLOURS = 128
"""Enough for two typefaces' edges and the blues, in a third of the bytes."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KNDB = (sys.executable, "-c", "from kndb_cli.main import main; raise SystemExit(main())")


def take(database: Path, target: Path) -> None:
    """Write the picture of a database of the demo.

    Raises:
        SystemExit: there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("Screenshots need Chromium; on Debian: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw.png")
        with _served(database) as address:
            subprocess.run(
                [
                    *(browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"),
                    *(f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={raw}", address + PAGE),
                ],
                check=True,
                timeout=60,
            )
        with Image.open(raw) as picture:
            few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(target, optimize=True)
    print(f"{target}: {target.stat().st_size:,} bytes")


@contextmanager
def _served(database: Path) -> Iterator[str]:
    """The address of a site that runs until the block ends."""
    command = [*KNDB, "serve", "--db", str(database), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"http://\S+/", said)
            if found is None:
                raise RuntimeError(f"kndb serve says: {said}")
            yield found[0]
        finally:
            process.terminate()


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
