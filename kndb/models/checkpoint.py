"""Checks of a model's folder: before anything large is built, and after loading.

A configuration is checked against the tensors in the files, using only their headers. Weights
missing from a checkpoint would be random numbers, so such a checkpoint is rejected.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from kndb.errors import ModelError, one_line
from kndb.models.architectures import ARCHITECTURES, Decoder, Encoder, Structure, Unlisted

_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)
# A checkpoint without its head, or with tied embeddings, contains at least half of the model's
# numbers; a small one may lack buffers, which are computed.
_MOST_NUMBERS_PER_STORED = 2
_MOST_BUFFERS = 10_000_000
_CAUSAL = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
_MASKED = MODEL_FOR_MASKED_LM_MAPPING_NAMES
_SEQ2SEQ = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
_LAYER = re.compile(r"(.+?)\.(\d+)\.")
_WINDOWS = ("max_position_embeddings", "max_seq_len", "n_positions", "n_ctx")
_NAMED = 3  # tensors listed in an error


@dataclass(frozen=True)
class Checkpoint:
    """A folder that can be loaded, judging by its small files.

    Attributes:
        names: where the architecture keeps its modules.
        config: the configuration, as Transformers reads it.
        model_class: the Transformers class that loads it.
    """

    names: Structure
    config: Any
    model_class: Any


def read_checkpoint(folder: Path, name: str) -> Checkpoint:
    """Check a folder's files without reading the weights.

    Args:
        folder: contains ``config.json``, safetensors and a tokenizer.
        name: the model's name, for messages.

    Raises:
        ModelError: a file is missing or damaged, it is no language model, or the configuration
            does not fit the tensors in the files.
    """
    content = _read_config(folder, name)
    kind = content["model_type"]
    names = structure(content, name)
    model_class = class_of(names)
    shapes = _stored_shapes(folder, name)
    if not any((folder / file).exists() for file in _TOKENIZERS):
        raise ModelError(f"The model {name} has no tokenizer beside it, such as tokenizer.json.")
    _check_layers(content, names, shapes, name)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model = model_class.from_config(config)
        needed = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    except Exception as error:  # any exception: Transformers trusts a configuration
        raise ModelError(
            f"The config.json of the model {name} describes no valid {kind} model: "
            f"{one_line(error)}"
        ) from error
    held = sum(math.prod(shape) for shape in shapes.values())
    if needed > _MOST_NUMBERS_PER_STORED * held + _MOST_BUFFERS:
        raise ModelError(
            f"The config.json of the model {name} describes {needed:,} numbers, but its weights "
            f"have {held:,}; give the config.json that belongs to them."
        )
    return Checkpoint(names, config, model_class)


def _read_config(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        raise ModelError(
            f"The folder {folder} holds no model: it has no config.json; give a folder that "
            "Transformers has saved."
        )
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = content["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The model {name} has no usable config.json: {one_line(error)}"
        ) from error
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise ModelError(
            f"The model {name} has the architecture {str(kind)[:40]!r}, which Transformers "
            f"{transformers.__version__} does not know; give another model, or update Transformers."
        )
    return content  # type: ignore[no-any-return]


def structure(content: Mapping[str, Any], name: str) -> Structure:
    """Where a model has its modules, by the contents of its ``config.json``.

    Raises:
        ModelError: it is no language model.
    """
    kind = content["model_type"]
    row = ARCHITECTURES.get(kind)
    defaults = CONFIG_MAPPING[kind]().to_dict() if row and row.requires else {}
    given = {**defaults, **content}
    if row and all(given.get(key, due) == due for key, due in row.requires.items()):
        return row
    if kind in _SEQ2SEQ:
        return Unlisted("seq2seq")
    saved_as = "".join(content.get("architectures") or [])
    left_to_right = "CausalLM" in saved_as or content.get("is_decoder") or content.get("causal")
    if kind in _MASKED and not (kind in _CAUSAL and left_to_right):
        return Unlisted("masked")
    if kind in _CAUSAL and kind != "xlnet":  # which predicts in any order
        return Unlisted("causal")
    raise ModelError(
        f"The model {name} has the architecture {kind}, which is no language model that predicts "
        "tokens of text; give a masked or causal language model."
    )


def class_of(names: Structure) -> Any:
    """The Transformers class that loads such a model."""
    return {
        "masked": AutoModelForMaskedLM,
        "causal": AutoModelForCausalLM,
        "seq2seq": AutoModelForSeq2SeqLM,
    }[names.kind]


def _stored_shapes(folder: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in the files that Transformers reads, from the files' headers."""
    shapes: dict[str, tuple[int, ...]] = {}
    path = folder / "model.safetensors.index.json"
    try:
        files = [folder / "model.safetensors"]
        if not files[0].exists() and path.exists():
            index = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
            files = [folder / file for file in sorted(set(index.values()))]
        elif not files[0].exists():
            raise ModelError(
                f"The model {name} has no .safetensors weights, and kndb does not unpickle files; "
                "save it again with save_pretrained."
            )
        for path in files:
            with safe_open(path, framework="pt") as opened:
                for key in opened.keys():  # noqa: SIM118 - no mapping
                    shapes[key] = tuple(opened.get_slice(key).get_shape())
    except (
        *(SafetensorError, OSError, ValueError, KeyError),
        *(TypeError, AttributeError, RecursionError),
    ) as error:
        raise ModelError(
            f"The file {path.name} of the model {name} cannot be read, perhaps because it was "
            f"cut short; copy it again: {one_line(error)}"
        ) from error
    return shapes


def _check_layers(
    content: Mapping[str, Any],
    names: Structure,
    shapes: Collection[str],
    name: str,
) -> None:
    """Check that the configuration declares as many layers as the files contain.

    Raises:
        ModelError: it does not.
    """
    if isinstance(names, Unlisted) or (isinstance(names, Encoder) and names.shared):
        return
    key = CONFIG_MAPPING[content["model_type"]].attribute_map.get("num_hidden_layers", "")
    declared = content.get(key, content.get("num_hidden_layers"))
    base, _, layers = names.layers.partition(".")
    numbered = re.compile(rf"(?:{re.escape(base)}\.)?{re.escape(layers)}\.(\d+)\.")
    found = {int(match[1]) for match in map(numbered.match, shapes) if match}
    held = max(found) + 1 if found else len(shapes)
    if declared is None:
        return
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 1:
        raise ModelError(
            f"The config.json of the model {name} gives {str(declared)[:40]!r} as the number of "
            "layers; it must be a whole number, at least 1."
        )
    if declared > held or (found and declared != held):
        raise ModelError(
            f"The config.json of the model {name} declares {declared} layers, but its weights "
            f"have {held if found else 'none'}; give the config.json that belongs to them."
        )


def check_loaded(report: Mapping[str, Any], hf: Any, name: str) -> None:
    """Reject a model with weights that are missing from its checkpoint.

    Args:
        report: Transformers' ``output_loading_info``.
        hf: the loaded model.
        name: the model's name, for messages.

    Raises:
        ModelError: tensors are missing, or have another shape.
    """
    wrong = sorted(report["mismatched_keys"])
    if wrong:
        shapes = [f"{key} is {tuple(held)}, not {tuple(due)}" for key, held, due in wrong]
        raise ModelError(
            f"The weights of the model {name} do not fit its config.json: {_some(shapes)}; give "
            "the config.json that belongs to them."
        )
    more = sorted(key for key in report["unexpected_keys"] if _of_another_layer(key, hf))
    if more:
        raise ModelError(
            f"The weights of the model {name} have more layers than its config.json declares "
            f"({_some(more)}); give the config.json that belongs to them."
        )
    parameters = {key for key, _ in hf.named_parameters(remove_duplicate=False)}
    missing = sorted(parameters.intersection(report["missing_keys"]))  # buffers are computed
    if not missing:
        return
    body = f"{hf.base_model_prefix}."
    if not any(key.startswith(body) for key in missing):
        raise ModelError(
            f"The model {name} was saved without its language-model head ({_some(missing)}), which "
            f"would be random; give a checkpoint saved as {type(hf).__name__}."
        )
    if {key for key in parameters if key.startswith(body)} <= set(missing):
        raise ModelError(
            f"None of the tensors in the files of the model {name} belongs to a "
            f"{type(hf).__name__}, such as {_some(missing)}; give a checkpoint of that class."
        )
    raise ModelError(
        f"The model {name} lacks weights, which would be random: {_some(missing)}; give a complete "
        "checkpoint."
    )


def _of_another_layer(key: str, hf: Any) -> bool:
    """Whether a tensor belongs to a layer beyond the model's last."""
    match = _LAYER.match(key)
    if match is None:
        return False
    modules = dict(hf.named_modules())
    layers = modules.get(match[1], modules.get(f"{hf.base_model_prefix}.{match[1]}"))
    return isinstance(layers, torch.nn.ModuleList) and int(match[2]) >= len(layers)


def window(config: Any, names: Encoder | Decoder) -> int:
    """The most tokens that a model takes; a large number if any."""
    return min(_positions(config), default=sys.maxsize) - _first_position(config, names)


def general_window(hf: Any) -> int:
    """The most tokens that a model takes, whatever its architecture; a large number if any."""
    sizes = _positions(hf.config.get_text_config(decoder=True))
    longest = min((size for size in sizes if size > 0), default=sys.maxsize)
    first = [
        module.padding_idx + 1
        for name, module in hf.named_modules()
        if "position" in name and getattr(module, "padding_idx", None) is not None
    ]
    return longest - max(first, default=0)


def _positions(config: Any) -> list[int]:
    """The numbers of positions that a configuration gives: none if any number will do."""
    sizes = (getattr(config, key, None) for key in _WINDOWS)
    return [size for size in sizes if isinstance(size, int)]


def _first_position(config: Any, names: Encoder | Decoder) -> int:
    after_padding = isinstance(names, Encoder) and names.after_padding
    return (config.pad_token_id or 0) + 1 if after_padding else 0


def check_window(config: Any, names: Encoder | Decoder, name: str) -> None:
    """Reject a model whose position embeddings leave no room for an answer.

    Raises:
        ModelError: there is no position for a token.
    """
    if window(config, names) <= 0:
        raise ModelError(
            f"The model {name} has {min(_positions(config))} position embeddings and its "
            f"first token is at position {_first_position(config, names)}, so no answer fits in "
            "its window; give the config.json that belongs to the weights."
        )


def _some(entries: Collection[str]) -> str:
    """The first few entries, and how many more there are.

    >>> _some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return ", ".join(list(entries)[:_NAMED]) + more
