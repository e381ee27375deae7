"""Finding the down projections of a model by their shape and place, whatever its architecture."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kndb.errors import ModelError

# Blocks that mix positions, or select neurons for each token: their inner units are not neurons.
_ELSEWHERE = re.compile(r"att|mamba|mixer|ssm|rec|conv", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)\.(\d+)\.(.+)")


def find_down(hf: Any, name: str) -> list[nn.Module]:
    """The output projections of the feed-forward blocks, from the first layer to the last.

    A down projection is a linear layer, outside attention, that is narrower at its output, as wide
    as the residual stream there, and has the same place in each of a numbered list of layers. In an
    encoder-decoder it is the decoder's.

    Args:
        hf: a Transformers model.
        name: its name, for messages.

    Raises:
        ModelError: there is none, several are possible, layers differ in size, the blocks are
            mixtures of experts, or there is no plain input or output embedding.
    """
    head = hf.get_output_embeddings()
    if not isinstance(head, nn.Linear) or not isinstance(hf.get_input_embeddings(), nn.Embedding):
        raise ModelError(
            f"The model {name} ({hf.config.model_type}) has no plain input and output embeddings, "
            "which the general adapter needs; give a model of another architecture."
        )
    body = hf.get_decoder() if hf.config.is_encoder_decoder else hf
    if any("expert" in path for path, _ in body.named_parameters()):
        raise ModelError(
            f"The feed-forward blocks of the model {name} are mixtures of experts, whose neurons "
            "differ from token to token; give a dense model."
        )
    width = hf.config.get_text_config(decoder=True).hidden_size
    places: dict[tuple[str, str], dict[int, nn.Module]] = defaultdict(dict)
    for path, module in body.named_modules():
        match = _NUMBERED.fullmatch(f".{path}")
        if match is None or not _is_down(module, width):
            continue
        place = f"{match[1].rpartition('.')[2]}.{match[3]}"  # not the model's own name, as ConvBERT
        if not _ELSEWHERE.search(place):
            places[match[1], match[3]][int(match[2])] = module
    found = [list(own.values()) for own in places.values() if sorted(own) == [*range(len(own))]]
    if len(found) != 1 or len(places) != 1:
        raise ModelError(
            f"The general adapter finds {len(places)} candidates for the output projections of the "
            f"feed-forward blocks of the model {name} ({hf.config.model_type}), and needs exactly "
            "one in each layer; give a model of another architecture."
        )
    if len({count_neurons(module) for module in found[0]}) > 1:
        raise ModelError(
            f"The layers of the model {name} differ in their number of neurons, which kndb does "
            "not support; give a model whose layers are alike."
        )
    return found[0]


def count_neurons(down: Any) -> int:
    """How many neurons a down projection takes."""
    return int(down.in_features if isinstance(down, nn.Linear) else down.weight.shape[0])


def neuron_rows(down: nn.Module) -> Tensor:
    """A down projection's weight with a row per neuron, ``(n_neurons, width)``, sharing its memory.

    A Linear keeps ``(width, n_neurons)``, GPT-2's Conv1D ``(n_neurons, width)``.
    """
    weight = down.weight
    assert isinstance(weight, Tensor)
    return weight.detach().T if isinstance(down, nn.Linear) else weight.detach()


def _is_down(module: Any, width: int) -> bool:
    if not isinstance(module, nn.Linear | Conv1D):
        return False
    out = module.out_features if isinstance(module, nn.Linear) else module.weight.shape[1]
    return bool(out == width < count_neurons(module))
