"""Where each architecture keeps the modules kndb needs. Adding a family is adding a row.

Names are attribute paths: of the whole model for ``layers``, ``transform`` and a decoder's
``norm``, of one layer for the rest. They follow the module names of Transformers 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

Kind = Literal["masked", "causal", "seq2seq"]
"""How a model predicts; ``seq2seq`` is an encoder-decoder."""


@dataclass(frozen=True, slots=True)
class SelfAttention:
    """The first half of a post-norm layer, ``norm(x + output(attention(query, key, value)(x)))``.

    With it, kndb computes the layer itself, and in the last one only at the answer position.
    """

    query: str
    key: str
    value: str
    output: str
    norm: str


@dataclass(frozen=True, slots=True)
class Encoder:
    """A masked language model.

    The second half of each layer computes ``norm(a + down(activation(up(a))))`` if it is post-norm
    (Devlin et al. 2019), or ``a + down(activation(up(first_norm(a))))``; ``up`` and ``activation``
    are None for gated blocks. ``last_norm`` follows the last layer. ``transform`` lists what comes
    between the last hidden state and the output embedding, in order: modules, or functions. With
    ``after_padding``, the first token's position is the one after the padding index. Layers that
    are ``shared`` are one module, run again and again. ``relative_positions`` are embeddings that
    each layer repeats for each row. For ``requires`` see :class:`Decoder`.
    """

    kind: ClassVar[Kind] = "masked"
    layers: str
    down: str
    transform: tuple[str | Callable[[Tensor], Tensor], ...]
    attention: SelfAttention | None = None
    up: str | None = None
    activation: str | None = None
    first_norm: str | None = None
    norm: str | None = None
    last_norm: str | None = None
    after_padding: bool = False
    shared: bool = False
    relative_positions: str | None = None
    requires: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoder:
    """A causal language model whose layers add the feed-forward output to the residual stream.

    ``down`` is the output projection of the feed-forward block; ``up`` and ``activation`` are
    given for plain blocks and None for gated ones. ``after_down`` stands between the projection
    and the residual stream: a norm, or a number to multiply by. ``logit_scale`` computes the factor
    of the logits from the configuration. Layers with ``own_attention`` do not use Transformers'
    attention interface. A checkpoint whose configuration differs from ``requires`` has another
    structure than the row.
    """

    kind: ClassVar[Kind] = "causal"
    layers: str
    down: str
    norm: str
    up: str | None = None
    activation: str | None = None
    after_down: str | None = None
    logit_scale: Callable[[Any], float] | None = None
    own_attention: bool = False
    requires: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A model without a row: the general adapter finds its down projections itself."""

    kind: Kind


Structure = Encoder | Decoder | Unlisted


BERT = Encoder(
    layers="bert.encoder.layer",
    attention=SelfAttention(
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        output="attention.output.dense",
        norm="attention.output.LayerNorm",
    ),
    up="intermediate.dense",
    activation="intermediate.intermediate_act_fn",
    down="output.dense",
    norm="output.LayerNorm",
    transform=("cls.predictions.transform",),
)
ROBERTA = replace(
    BERT,
    layers="roberta.encoder.layer",
    transform=("lm_head.dense", F.gelu, "lm_head.layer_norm"),
    after_padding=True,
)
XLM_ROBERTA_XL = replace(
    ROBERTA,
    attention=None,
    first_norm="LayerNorm",
    norm=None,
    last_norm="roberta.encoder.LayerNorm",
)
DEBERTA_2 = replace(
    BERT,
    layers="deberta.encoder.layer",
    attention=None,
    relative_positions="deberta.encoder.rel_embeddings",
    requires={
        "relative_attention": True,
        "legacy": True,  # or another head
        "conv_kernel_size": 0,  # or a convolution between two layers
    },
)
ELECTRA = replace(
    BERT,
    layers="electra.encoder.layer",
    transform=("generator_predictions",),
)
ALBERT = Encoder(
    layers="albert.encoder.albert_layer_groups",
    attention=SelfAttention(
        query="albert_layers.0.attention.query",
        key="albert_layers.0.attention.key",
        value="albert_layers.0.attention.value",
        output="albert_layers.0.attention.dense",
        norm="albert_layers.0.attention.LayerNorm",
    ),
    up="albert_layers.0.ffn",
    activation="albert_layers.0.activation",
    down="albert_layers.0.ffn_output",
    norm="albert_layers.0.full_layer_layer_norm",
    transform=("predictions.dense", "predictions.activation", "predictions.LayerNorm"),
    shared=True,
)
DISTILBERT = Encoder(
    layers="distilbert.transformer.layer",
    attention=SelfAttention(
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        output="attention.out_lin",
        norm="sa_layer_norm",
    ),
    up="ffn.lin1",
    activation="ffn.activation",
    down="ffn.lin2",
    norm="output_layer_norm",
    transform=("vocab_transform", "activation", "vocab_layer_norm"),
)
MODERNBERT = Encoder(
    layers="model.layers",
    first_norm="mlp_norm",
    down="mlp.Wo",
    last_norm="model.final_norm",
    transform=("head",),
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
GEMMA_2 = replace(LLAMA, after_down="post_feedforward_layernorm")
GRANITE = replace(
    LLAMA,
    after_down="residual_multiplier",
    logit_scale=lambda config: 1 / config.logits_scaling,
)
COHERE = replace(LLAMA, logit_scale=lambda config: config.logit_scale)
OPT = Decoder(
    layers="model.decoder.layers",
    down="fc2",
    norm="model.decoder.final_layer_norm",
    up="fc1",
    activation="activation_fn",
    requires={"do_layer_norm_before": True},  # the 350M model is post-norm
)
PHI = Decoder(
    layers="model.layers",
    down="mlp.fc2",
    norm="model.final_layernorm",
    up="mlp.fc1",
    activation="mlp.activation_fn",
)
STARCODER_2 = Decoder(
    layers="model.layers", down="mlp.c_proj", norm="model.norm", up="mlp.c_fc", activation="mlp.act"
)
BLOOM = Decoder(
    layers="transformer.h",
    down="mlp.dense_4h_to_h",
    norm="transformer.ln_f",
    up="mlp.dense_h_to_4h",
    activation="mlp.gelu_impl",
    own_attention=True,
    requires={"slow_but_exact": False},  # which multiplies by slices of the weights
)
FALCON = replace(BLOOM, activation="mlp.act", requires={})
GPT_J = replace(GPT2, down="mlp.fc_out", up="mlp.fc_in", own_attention=True)
GPT_NEO = replace(GPT2, own_attention=True)
MPT = Decoder(
    layers="transformer.blocks",
    down="ffn.down_proj",
    norm="transformer.norm_f",
    up="ffn.up_proj",
    activation="ffn.act",
    own_attention=True,
)
XGLM = Decoder(
    layers="model.layers",
    down="fc2",
    norm="model.layer_norm",
    up="fc1",
    activation="activation_fn",
    own_attention=True,
)

ARCHITECTURES: dict[str, Encoder | Decoder] = {
    "albert": ALBERT,
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "xlm-roberta-xl": XLM_ROBERTA_XL,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "deberta-v2": DEBERTA_2,
    "modernbert": MODERNBERT,
    "gpt2": GPT2,
    "gpt_neox": GPT_NEOX,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": LLAMA,
    "gemma2": GEMMA_2,
    "gemma3_text": GEMMA_2,
    "opt": OPT,
    "phi": PHI,
    "phi3": LLAMA,
    "olmo": LLAMA,
    "olmo2": GEMMA_2,
    "olmo3": GEMMA_2,
    "stablelm": LLAMA,
    "starcoder2": STARCODER_2,
    "granite": GRANITE,
    "smollm3": LLAMA,
    "cohere": COHERE,
    "cohere2": COHERE,
    "bloom": BLOOM,
    "falcon": FALCON,
    "gptj": GPT_J,
    "gpt_neo": GPT_NEO,
    "mpt": MPT,
    "xglm": XGLM,
}
"""``config.model_type`` → where its modules are."""
