"""Reads files of edits: kndb's own form and records of CounterFact. Makes no edits.

kndb's form is one JSON object per line:

    {"fact": "P36:Q962", "target": "Kigali", "target_lang": "en"}
    {"fact": "Benin", "relation": "capital", "mode": "erase", "langs": ["en", "zh"]}

``mode``, ``neurons``, ``langs``, ``lambda`` and ``labels`` (the new answer in other languages)
may be left out; the command's own options are used then. A CounterFact record (Meng et al. 2022)
has ``requested_rewrite``; its fact is found by relation and subject, its new answer is
``target_new``. Records come one a line, or as one JSON list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kndb.edit.plan import EditSettings
from kndb.edit.request import Job
from kndb.edit.scores import Mode
from kndb.errors import DatasetError, UsageError

REWRITE = "requested_rewrite"
COUNTERFACT_LANG = "en"

_UNREADABLE = (ValueError, RecursionError)
_TOO_MUCH = "too long a number, or too deep a list"

_FIELDS = ("mode", "neurons", "target", "target_lang", "labels")
_KNOWN = {*_FIELDS, "fact", "relation", "langs", "lambda"}


def count_edits(path: Path) -> int:
    """How many edits the file holds.

    Raises:
        DatasetError: it cannot be read, or holds none.
    """
    n = sum(1 for _ in _records(path))
    if not n:
        raise DatasetError(f"There are no edits in {path}; write one JSON object per line.")
    return n


def read_edits(
    path: Path, settings: EditSettings, rewriting: Mode = "update"
) -> Iterator[Job | str]:
    """The edits of a file, one after the other; a text in place of one is why it cannot be made.

    Args:
        path: the file.
        settings: used where a record has no value of its own.
        rewriting: mode of records with a new answer and without a mode: ``update`` or ``fit``.

    Raises:
        DatasetError: the file cannot be read.
    """
    for where, record in _records(path):
        try:
            yield _job(record, settings, rewriting)
        except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            yield f"{where}: {reason}"


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            if _is_list(path):
                yield from ((f"record {n}", one) for n, one in enumerate(json.load(lines), 1))
                return
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"line {number}", _parsed(path, number, line)
    except OSError as error:
        raise DatasetError(
            f"The edits in {path} cannot be read: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text: {error}.") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is not JSON: {error}.") from error
    except _UNREADABLE as error:
        raise DatasetError(f"{path} is not JSON that can be read: {_TOO_MUCH}.") from error


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(64).lstrip().startswith("[")


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path} line {number} is not JSON: {error.msg} at column {error.colno}; correct "
            "it. No edit of the file has been made."
        ) from error
    except _UNREADABLE as error:
        raise DatasetError(
            f"{path} line {number} is not JSON that can be read: {_TOO_MUCH}; correct it. No edit "
            "of the file has been made."
        ) from error


def _job(record: Any, settings: EditSettings, rewriting: Mode) -> Job:
    if not isinstance(record, dict):
        raise UsageError("not a JSON object")
    read = _counterfact if REWRITE in record else _own
    return read(record, settings, rewriting)


def _own(record: dict[str, Any], settings: EditSettings, rewriting: Mode) -> Job:
    unknown = sorted(record.keys() - _KNOWN)
    if unknown:
        raise UsageError(f"unknown field {unknown[0]!r}")
    texts = ("fact", "relation", "mode", "neurons", "target", "target_lang")
    for name in texts:
        _text(record.get(name, ""), name)
    said: dict[str, Any] = {name: record[name] for name in _FIELDS if name in record}
    if "labels" in record:
        said["labels"] = _labels(record["labels"])
    if "lambda" in record:
        said["strength"] = _number(record["lambda"])
    if "langs" in record:
        said["langs"] = _languages(record["langs"])
    if "target" in record:
        said.setdefault("mode", rewriting)
    return Job(record["fact"], replace(settings, **said), record.get("relation"))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"lambda is not a number: {value!r:.40}") from error


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str | None) or (name == "fact" and value is None):
        raise UsageError(f"{name} is not a text: {value!r:.40}")
    return value or ""


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"labels is not an object: {value!r:.40}")
    return {lang: _text(label, "a label") for lang, label in value.items()}


def _languages(value: Any) -> tuple[str, ...]:
    """A list, or as on the command line: ``en,zh``."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise UsageError(f"langs is not a list: {value!r:.40}")
    return tuple(_text(part, "a language").strip() for part in parts)


def _counterfact(record: dict[str, Any], settings: EditSettings, rewriting: Mode) -> Job:
    rewrite = record[REWRITE]
    target = _text(rewrite["target_new"]["str"], "target_new").strip()
    said = replace(settings, mode=rewriting, target=target, target_lang=COUNTERFACT_LANG)
    subject, relation = (_text(rewrite[name], name) for name in ("subject", "relation_id"))
    return Job(subject, said, relation)
