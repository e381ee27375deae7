"""Reads published lists of knowledge neurons. Knows neither facts nor the database.

There are two formats, recognised entry by entry: ``{uuid: [[layer, neuron], ...]}`` from
EleutherAI/knowledge-neurons, and ``{uuid: {"neurons": [[layer, neuron], ...], ...}}`` from the
results of the AMIG code. A file may contain several such objects in a row, which happens when
results are appended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kndb.errors import DatasetError
from kndb.files import stamps
from kndb.neurons import Neuron
from kndb_ingest.datasets.files import DataFile, changed, file_lang, fingerprint, malformed

NEURONS = "neurons"

Cells = frozenset[Neuron]


@dataclass(frozen=True)
class PublishedNeurons:
    """The neurons of every fact in each language; facts are identified by uuid.

    Attributes:
        by_lang: neurons by language and uuid. The language is None if it is not known.
        sha256: hash of the files under each path, and of the language given for it.
    """

    by_lang: dict[str | None, dict[str, Cells]]
    sha256: str


def read_published(paths: Sequence[str | Path]) -> PublishedNeurons:
    """Read files, and folders of ``*.json`` files.

    ``zh=PATH`` gives the language of a path; otherwise a file or folder named after a language
    (``zh``, ``zh.json``) is taken to be in that language.

    Raises:
        DatasetError: a file is missing, malformed or changed while it was read, or two files
            disagree about a fact.
    """
    by_lang: dict[str | None, dict[str, Cells]] = {}
    digests = []
    for asked in paths:
        lang, root = _language(str(asked))
        files = _files(root)
        before = stamps(files)
        digests.append(f"{lang or ''}:{fingerprint(root, files)}")
        for file in files:
            spoken = lang or file_lang(file) or file_lang(file.parent)
            _merge(by_lang.setdefault(spoken, {}), DataFile.of(root, file))
        if stamps(files) != before:
            raise changed(root)
    return PublishedNeurons(by_lang, "+".join(sorted(digests)))


def _language(asked: str) -> tuple[str | None, Path]:
    lang, separator, rest = asked.partition("=")
    if separator and lang.replace("-", "").isalpha() and not Path(asked).exists():
        return lang, Path(rest)
    return None, Path(asked)


def _files(root: Path) -> list[Path]:
    files = sorted(root.glob("*.json")) if root.is_dir() else [root]
    if not files:
        raise DatasetError(f"There is no JSON file in {root}; give the published lists of neurons.")
    if not root.exists():
        raise DatasetError(f"There is no file {root}; give the published lists of neurons.")
    return files


def _merge(known: dict[str, Cells], file: DataFile) -> None:
    for entries in _objects(file):
        for uuid, value in entries.items():
            neurons = _neurons(value, f"{file.name} entry {uuid!r}")
            if known.setdefault(uuid, neurons) != neurons:
                raise malformed(
                    f"{file.name} entry {uuid!r}", "its neurons differ from those read earlier"
                )


def _objects(file: DataFile) -> Iterator[dict[str, object]]:
    """The JSON objects in a file, one after another."""
    text, decoder, at = file.text(), json.JSONDecoder(), 0
    while (rest := _skip_space(text, at)) < len(text):
        try:
            value, at = decoder.raw_decode(text, rest)
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, rest) + 1
            raise malformed(file.line(line), "not JSON that can be parsed") from error
        if not isinstance(value, dict):
            raise malformed(file.name, "not a JSON object of lists of neurons by fact")
        yield value


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _neurons(value: object, place: str) -> Cells:
    listed = value.get(NEURONS) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise malformed(place, "there is no list of [layer, neuron]")
    return frozenset(_neuron(each, place) for each in listed)


def _neuron(value: object, place: str) -> Neuron:
    if not isinstance(value, list) or len(value) != 2:
        raise malformed(place, f"{value!r:.40} is not [layer, neuron]")
    layer, index = value
    if type(layer) is not int or type(index) is not int or layer < 0 or index < 0:
        raise malformed(place, f"{value!r:.40} is not [layer, neuron], counted from 0")
    return Neuron(layer, index)
