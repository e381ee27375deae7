"""The two demo networks, built so that facts can only be stored in feed-forward neurons.

Input embeddings, output embeddings and attention are random and frozen. Only the first layer
attends, with equal weight on every visible token; attention in the layers above adds nothing. So
each prompt has a fixed state at the answer position, and training can only change what the
feed-forward blocks make of it. A *network* here is the Hugging Face model with its forward pass
split in two at that state. Training itself is in ``train``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from kndb_ingest.demo import Family
from kndb_ingest.demo.questions import LONGEST

LAYERS = 3
WIDTH = 192
NEURONS = 1024
HEADS = 4
ACTIVATION = "gelu"


class Network(ABC):
    """A demo model, and the two halves of its forward pass at the answer position."""

    hf: Any
    learned: list[nn.Module]
    """The trained modules: feed-forward blocks, and the norms above the first attention."""

    @abstractmethod
    def attended(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """States after the first attention, ``(n, length, width)``.

        Args:
            tokens: ``(n, length)``.
            mask: ``(n, length)``, true for tokens that are not padding.
        """

    @abstractmethod
    def logits(self, states: Tensor, dropout: float) -> tuple[Tensor, list[Tensor]]:
        """Run the layers above on ``states``, ``(n, width)``.

        Returns:
            The logits, ``(n, vocabulary)``, and each layer's neurons, ``(n, n_neurons)``, a share
            ``dropout`` of which is dropped out.
        """

    @abstractmethod
    def norms_of_outputs(self) -> list[Tensor]:
        """The norm of each neuron's output vector: ``(n_neurons,)`` per layer."""

    def freeze(self) -> None:
        """Freeze everything but the learned modules."""
        self.hf.requires_grad_(False)
        for module in self.learned:
            module.requires_grad_(True)


class MaskedNetwork(Network):
    """BERT. Its head's transform is the identity up to a shift, which the norm removes."""

    def __init__(self, vocabulary: int) -> None:
        self.hf = BertForMaskedLM(
            BertConfig(
                vocab_size=vocabulary,
                hidden_size=WIDTH,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                intermediate_size=NEURONS,
                hidden_act=ACTIVATION,
                max_position_embeddings=LONGEST,
                type_vocab_size=1,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                tie_word_embeddings=False,
            )
        )
        self.layers = list(self.hf.bert.encoder.layer)
        self._draw()
        self.learned = [x for layer in self.layers for x in (layer.intermediate, layer.output)]
        self.learned += [layer.attention.output.LayerNorm for layer in self.layers[1:]]
        self.freeze()
        self.hf.cls.predictions.bias.requires_grad_(True)

    @torch.no_grad()
    def _draw(self) -> None:
        bert, head = self.hf.bert, self.hf.cls.predictions
        draw_embeddings(bert.embeddings.word_embeddings, bert.embeddings.position_embeddings)
        for layer in self.layers:
            attention = layer.attention
            for part in (attention.self.query, attention.self.key, attention.output.dense):
                nn.init.zeros_(part.weight)
        first = self.layers[0].attention
        draw_attention(first.self.value.weight, first.output.dense.weight)
        draw_output(head.decoder.weight)
        nn.init.eye_(head.transform.dense.weight)
        # for large inputs, GELU is the identity
        nn.init.constant_(head.transform.dense.bias, 4.0)

    def attended(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """See :meth:`Network.attended`."""
        embedded = self.hf.bert.embeddings(input_ids=tokens)
        hidden = mask[:, None, None, :].bool()
        return self.layers[0].attention(embedded, attention_mask=hidden)[0]  # type: ignore[no-any-return]

    def logits(self, states: Tensor, dropout: float) -> tuple[Tensor, list[Tensor]]:
        """See :meth:`Network.logits`."""
        neurons = []
        for layer in self.layers:
            if layer is not self.layers[0]:
                states = layer.attention.output.LayerNorm(states)
            neurons.append(F.dropout(layer.intermediate(states), dropout))
            states = layer.output(neurons[-1], states)
        return self.hf.cls(states), neurons

    def norms_of_outputs(self) -> list[Tensor]:
        """See :meth:`Network.norms_of_outputs`."""
        return [layer.output.dense.weight.norm(dim=0) for layer in self.layers]


class CausalNetwork(Network):
    """GPT-2."""

    def __init__(self, vocabulary: int) -> None:
        self.hf = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_embd=WIDTH,
                n_layer=LAYERS,
                n_head=HEADS,
                n_inner=NEURONS,
                activation_function=ACTIVATION,
                n_positions=LONGEST,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                tie_word_embeddings=False,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
        self.layers = list(self.hf.transformer.h)
        self._draw()
        self.learned = [x for layer in self.layers for x in (layer.ln_2, layer.mlp)]
        self.learned.append(self.hf.transformer.ln_f)
        self.freeze()

    @torch.no_grad()
    def _draw(self) -> None:
        body = self.hf.transformer
        draw_embeddings(body.wte, body.wpe)
        for layer in self.layers:
            nn.init.zeros_(layer.attn.c_attn.weight)
            nn.init.zeros_(layer.attn.c_proj.weight)
        first = self.layers[0].attn
        draw_attention(first.c_attn.weight[:, 2 * WIDTH :], first.c_proj.weight)
        draw_output(self.hf.lm_head.weight)

    def attended(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """See :meth:`Network.attended`. No mask is needed, because padding comes last."""
        body, first = self.hf.transformer, self.layers[0]
        embedded = body.wte(tokens) + body.wpe.weight[: tokens.shape[1]]
        return embedded + first.attn(first.ln_1(embedded))[0]  # type: ignore[no-any-return]

    def logits(self, states: Tensor, dropout: float) -> tuple[Tensor, list[Tensor]]:
        """See :meth:`Network.logits`."""
        neurons = []
        for layer in self.layers:
            neurons.append(F.dropout(layer.mlp.act(layer.mlp.c_fc(layer.ln_2(states))), dropout))
            states = states + layer.mlp.c_proj(neurons[-1])
        return self.hf.lm_head(self.hf.transformer.ln_f(states)), neurons

    def norms_of_outputs(self) -> list[Tensor]:
        """See :meth:`Network.norms_of_outputs`."""
        return [layer.mlp.c_proj.weight.norm(dim=1) for layer in self.layers]


def build_network(family: Family, vocabulary: int) -> Network:
    """An untrained network, initialised from torch's global random state."""
    return MaskedNetwork(vocabulary) if family == "masked" else CausalNetwork(vocabulary)


def draw_embeddings(words: nn.Embedding, positions: nn.Embedding) -> None:
    """Initialise words with unit variance and positions weakly, so that words dominate."""
    nn.init.normal_(words.weight, std=1.0)
    nn.init.normal_(positions.weight, std=0.3)


def draw_attention(value: Tensor, output: Tensor) -> None:
    """Initialise with twice the scale that preserves variance, because means of words are small."""
    nn.init.normal_(value, std=2 * WIDTH**-0.5)
    nn.init.normal_(output, std=WIDTH**-0.5)


def draw_output(weight: Tensor) -> None:
    """Initialise output directions of the words, large enough for confident answers."""
    nn.init.normal_(weight, std=3 * WIDTH**-0.5)
