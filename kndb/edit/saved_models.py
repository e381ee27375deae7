"""Edits of saved models: a copy of a model's folder with the rows of some neurons changed.

Only the changed rows of the safetensors files differ from the original, all else is copied byte
for byte, so that undoing every edit gives the original weights back, which their hash proves. A
file ``kndb_edits.json`` beside the weights records the edits.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kndb.edit.deltas import Delta
from kndb.edit.editor import check_apart, check_rows, check_weights
from kndb.edit.weight_rows import check_neurons
from kndb.errors import KndbError, ModelError, UsageError
from kndb.models import LanguageModel
from kndb.models.loading import weights_hash
from kndb.neurons import Neuron

RECORD = "kndb_edits.json"

_ABOUT = (
    "kndb changed the weights of this model by the edits below, in this order. The model card and "
    "all other files are the original model's. base is the SHA-256 of the weights before."
)


@dataclass(frozen=True)
class SavedEdit:
    """An edit in a saved model.

    Attributes:
        edit_id: its id in the ledger.
        neurons: whose rows it changed.
        about: what it did, for people: ``fact_key``, ``mode``, ``target``.
    """

    edit_id: int
    neurons: tuple[Neuron, ...]
    about: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """The contents of ``kndb_edits.json``.

    Attributes:
        base: hash of the weights without any edit.
        weights_sha256: hash of the weights as they are.
        edits: in the order they were applied.
    """

    base: str
    weights_sha256: str
    edits: tuple[SavedEdit, ...]


def stored_rows(folder: Path, model: LanguageModel[Any], neurons: Sequence[Neuron]) -> Tensor:
    """The neurons' rows ``(neurons, width)`` as the folder stores them, in its number format.

    Raises:
        ModelError: the folder's weights are not those of the model.
        UsageError: the model has no such neuron.
    """
    check_neurons(model, neurons)
    layers = {layer: _tensor(folder, model, layer) for layer in {n.layer for n in neurons}}
    if not neurons:
        return torch.empty(0, model.width, dtype=model.dtype)
    return torch.stack([layers[neuron.layer][neuron.index] for neuron in neurons])


def save_with(
    folder: Path,
    model: LanguageModel[Any],
    edits: Sequence[tuple[int, Delta]],
    out: Path,
    about: Mapping[int, Mapping[str, str | None]] | None = None,
) -> Record:
    """Write the model of ``folder`` with these edits to the new folder ``out``.

    Args:
        folder: of the model without edits.
        model: loaded from it.
        edits: ids and deltas, in the order to apply them.
        out: a folder that is not there yet, or empty.
        about: by edit id, what the record contains besides the neurons.

    Raises:
        ModelError: an edit was made against other weights.
        UsageError: an edit's row has been changed by one before it; or ``out`` is in use.
        KndbError: the folder cannot be written.
    """
    for _, delta in edits:
        check_weights(delta, model.info.weights_sha256, model.info.name)
    record = Record(model.info.weights_sha256, "", ())
    with _complete(out) as part:
        _copy(folder, part)
        for edit_id, delta in edits:
            _replace(part, model, delta.neurons, delta.before, delta.after)
            saved = SavedEdit(edit_id, delta.neurons, (about or {}).get(edit_id, {}))
            record = replace(record, edits=(*record.edits, saved))
        return _write(part, record)


def save_without(
    folder: Path, model: LanguageModel[Any], edit_id: int, delta: Delta, out: Path
) -> Record:
    """Write an edited model without one of its edits to the new folder ``out``.

    Raises:
        ModelError: the folder holds no such edit, or its weights were changed since.
        UsageError: a later edit changed one of its neurons too; or ``out`` is in use.
        KndbError: the folder cannot be written.
    """
    record = read_record(folder)
    at = next((i for i, e in enumerate(record.edits) if e.edit_id == edit_id), None)
    if at is None:
        raise ModelError(f"{folder} does not hold the edit {edit_id}; nothing was undone.")
    if record.weights_sha256 != model.info.weights_sha256:
        raise ModelError(
            f"The weights in {folder} were changed after kndb saved them, so the edit cannot be "
            "undone; take the original model."
        )
    check_weights(delta, record.base, "the model it began as")
    for later in record.edits[at + 1 :]:
        check_apart(delta.neurons, later.neurons)
    left = (*record.edits[:at], *record.edits[at + 1 :])
    with _complete(out) as part:
        _copy(folder, part)
        _replace(part, model, delta.neurons, delta.after, delta.before)
        return _write(part, replace(record, edits=left))


def read_record(folder: Path) -> Record:
    """Read ``kndb_edits.json`` of a folder.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        edits = tuple(
            SavedEdit(
                int(e["edit_id"]),
                tuple(Neuron.parse(n) for n in e["neurons"]),
                {name: e[name] for name in e if name not in ("edit_id", "neurons")},
            )
            for e in found["edits"]
        )
        return Record(str(found["base"]), str(found["weights_sha256"]), edits)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} has no {RECORD}, so no edit of kndb is in it; give a folder that "
            "'kndb edit apply' made."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise ModelError(f"{folder / RECORD} is damaged: {error}.") from error


def _write(folder: Path, record: Record) -> Record:
    """Write the record, or none where no edit is left."""
    record = replace(record, weights_sha256=weights_hash(folder))
    if not record.edits:
        (folder / RECORD).unlink(missing_ok=True)
        if record.weights_sha256 != record.base:
            raise ModelError("The weights without edits are not those they began as.")
        return record
    edits = [
        {"edit_id": str(e.edit_id), **e.about, "neurons": [str(n) for n in e.neurons]}
        for e in record.edits
    ]
    content = {
        "about": _ABOUT,
        "kndb_version": version("kndb"),
        "base": record.base,
        "weights_sha256": record.weights_sha256,
        "edits": edits,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    return record


def _copy(folder: Path, out: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.is_file():
            shutil.copyfile(file, out / file.name)


def _replace(
    folder: Path,
    model: LanguageModel[Any],
    neurons: Sequence[Neuron],
    expected: Tensor,
    rows: Tensor,
) -> None:
    """Put rows into the files of a folder, shard by shard.

    Raises:
        UsageError: a row is not as expected.
    """
    check_rows(neurons, stored_rows(folder, model, neurons), expected)
    places = {layer: _place(folder, model, layer) for layer in {n.layer for n in neurons}}
    for file in sorted({file for file, _ in places.values()}):
        tensors = load_file(file)
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        for neuron, row in zip(neurons, rows, strict=True):
            where, key = places[neuron.layer]
            if where == file:
                _as_rows(model, neuron.layer, tensors[key])[neuron.index].copy_(row)
        mode = file.stat().st_mode
        save_file(tensors, file, metadata)
        file.chmod(mode)  # safetensors writes files that only their owner may read


def _as_rows(model: LanguageModel[Any], layer: int, weight: Tensor) -> Tensor:
    return weight.T if isinstance(model.down[layer], nn.Linear) else weight


def _tensor(folder: Path, model: LanguageModel[Any], layer: int) -> Tensor:
    file, key = _place(folder, model, layer)
    with safe_open(file, framework="pt") as opened:
        return _as_rows(model, layer, opened.get_tensor(key))


def _place(folder: Path, model: LanguageModel[Any], layer: int) -> tuple[Path, str]:
    """The file and the name under which a layer's output projection is stored.

    A model saved without its head lacks the prefix of its base in the names.
    Where several files have it, the last counts, as for the hash: ``model.safetensors`` comes
    after shards, and is what Transformers takes of the two.
    """
    weight = model.down[layer].weight
    name = next(name for name, value in model.hf.named_parameters() if value is weight)
    names = (name, name.removeprefix(f"{model.hf.base_model_prefix}."))
    try:
        for file in sorted(folder.glob("*.safetensors"), reverse=True):
            with safe_open(file, framework="pt") as opened:
                found = next((key for key in names if key in opened.keys()), None)  # noqa: SIM118
            if found:
                return file, found
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights in {folder} cannot be read: {error}.") from error
    raise ModelError(f"The weights in {folder} have no {name}; give the model's own folder.")


@contextmanager
def _complete(out: Path) -> Iterator[Path]:
    """A folder to write to, which becomes ``out`` when the block ends well, or else is removed."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} already exists; give a new folder to save the model in.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}; make it, or give another path.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        yield part
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        reason = error.strerror or error
        raise KndbError(f"{out} cannot be written: {reason}; give another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
