"""Plain text as Markdown: what people see in a terminal, safe to show on a page."""

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~{}$])")
_COMMAND = re.compile(r"'(kndb(?: [^']+)?)'")
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[a-z])(?![\w-])")
_CODE = re.compile(r"``(.+?)``|`(.+?)`")


def escape(text: str) -> str:
    """The text with Markdown's special characters taken literally.

    >>> print(escape("[MASK] is *not* a link"))
    \\[MASK\\] is \\*not\\* a link
    """
    return _SPECIAL.sub(r"\\\1", text)


def prose(text: str) -> str:
    """A sentence of help: commands in quotes and options are set as code, all else is plain.

    >>> print(prose("See 'kndb runs', or --run of the [MASK]."))
    See `kndb runs`, or `--run` of the \\[MASK\\].
    """
    return "".join(_piece(piece) for piece in _split(" ".join(text.split())))


def _split(text: str) -> list[str]:
    """The text cut at whatever is code, with the code as pieces that begin with a backtick."""
    marked = _CODE.sub(lambda found: f"\0`{found[1] or found[2]}`\0", text)
    marked = _COMMAND.sub(lambda found: f"\0`{found[1]}`\0", marked)
    parts = marked.split("\0")
    return [
        piece
        for part in parts
        for piece in (
            [part] if part.startswith("`") else _OPTION.sub("\0`\\1`\0", part).split("\0")
        )
    ]


def _piece(piece: str) -> str:
    return piece if piece.startswith("`") else escape(piece)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table of cells that are Markdown themselves."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
