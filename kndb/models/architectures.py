"""Where each architecture keeps the modules kndb needs. Adding a family is adding a row.

Names are attribute paths: of the whole model for ``layers``, ``transform`` and a decoder's
``norm``, of one layer for the rest. They follow the module names of Transformers 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Encoder:
    """A masked language model of post-norm encoder layers (Devlin et al. 2019).

    Each layer computes ``a = attention_norm(x + output(attention(x)))`` and
    ``norm(a + down(activation(up(a))))``. ``transform`` lists what comes between the last hidden
    state and the output embedding, in order: modules, or functions.
    """

    layers: str
    query: str
    key: str
    value: str
    output: str
    attention_norm: str
    up: str
    activation: str
    down: str
    norm: str
    transform: tuple[str | Callable[[Tensor], Tensor], ...]


@dataclass(frozen=True, slots=True)
class Decoder:
    """A causal language model whose layers add the feed-forward output to the residual stream.

    ``down`` is the output projection of the feed-forward block; ``up`` and ``activation`` are
    given for plain blocks and None for gated ones. ``after_down`` is a norm between the projection
    and the residual stream.
    """

    layers: str
    down: str
    norm: str
    up: str | None = None
    activation: str | None = None
    after_down: str | None = None


BERT = Encoder(
    layers="bert.encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    up="intermediate.dense",
    activation="intermediate.intermediate_act_fn",
    down="output.dense",
    norm="output.LayerNorm",
    transform=("cls.predictions.transform",),
)
ROBERTA = Encoder(
    layers="roberta.encoder.layer",
    query=BERT.query,
    key=BERT.key,
    value=BERT.value,
    output=BERT.output,
    attention_norm=BERT.attention_norm,
    up=BERT.up,
    activation=BERT.activation,
    down=BERT.down,
    norm=BERT.norm,
    transform=("lm_head.dense", F.gelu, "lm_head.layer_norm"),
)
DISTILBERT = Encoder(
    layers="distilbert.transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    attention_norm="sa_layer_norm",
    up="ffn.lin1",
    activation="ffn.activation",
    down="ffn.lin2",
    norm="output_layer_norm",
    transform=("vocab_transform", "activation", "vocab_layer_norm"),
)
GPT2 = Decoder(
    layers="transformer.h",
    down="mlp.c_proj",
    norm="transformer.ln_f",
    up="mlp.c_fc",
    activation="mlp.act",
)
GPT_NEOX = Decoder(
    layers="gpt_neox.layers",
    down="mlp.dense_4h_to_h",
    norm="gpt_neox.final_layer_norm",
    up="mlp.dense_h_to_4h",
    activation="mlp.act",
)
LLAMA = Decoder(layers="model.layers", down="mlp.down_proj", norm="model.norm")
GEMMA_2 = Decoder(
    layers="model.layers",
    down="mlp.down_proj",
    norm="model.norm",
    after_down="post_feedforward_layernorm",
)

ARCHITECTURES: dict[str, Encoder | Decoder] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "distilbert": DISTILBERT,
    "gpt2": GPT2,
    "gpt_neox": GPT_NEOX,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": LLAMA,
    "gemma2": GEMMA_2,
    "gemma3_text": GEMMA_2,
}
"""``config.model_type`` → where its modules are."""
