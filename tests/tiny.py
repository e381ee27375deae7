"""Tiny models of every architecture with random weights, and tokenizers made on the spot."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    PreTrainedTokenizerFast,
)

from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES, Encoder, Structure, Unlisted
from kndb.models.checkpoint import class_of
from kndb.models.loading import adapt

TEXT = (
    "The capital of France is Paris . The capital of Japan is New Tokyo . "
    "People in Germany speak German , and the currency of Spain is the euro . "
    "法国的首都是巴黎。日本的首都是东京。"
)
PROMPTS = [
    ("The capital of France is [MASK] .", "Paris"),
    ("The capital of Spain is [MASK] .", "Paris"),
    ("The capital of Japan is [MASK] .", "New Tokyo"),
    ("People in Germany speak [MASK] .", "German"),
]

_SIZES = {
    "vocab_size": 0,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
_BART = {
    **{"d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "decoder_ffn_dim": 48},
    **{"encoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
}
_T5 = {
    **{"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2},
    "num_decoder_layers": 3,
}
_EXTRA: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4},
    "gpt2": {"n_inner": 48, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 4, "head_dim": 8},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4},
    "albert": {"embedding_size": 24},
    "bloom": {"n_layer": 3, "n_head": 4},
    "falcon": {"ffn_hidden_size": 48},
    "gpt_neo": {
        "num_layers": 3,
        "num_heads": 4,
        "window_size": 4,
        "attention_types": [[["global", "local"], 1], [["local"], 1]],
    },
    "gptj": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 48, "rotary_dim": 4},
    "gpt_bigcode": {"n_inner": 48, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40},
    "mpt": {"d_model": 32, "n_layers": 3, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 40},
    "xglm": {"d_model": 32, "num_layers": 3, "attention_heads": 4, "ffn_dim": 48},
    "deberta-v2": {
        **{"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"]},
        "position_biased_input": False,
    },
    "modernbert": {"global_attn_every_n_layers": 3, "local_attention": 6},
    "bart": _BART,
    "mbart": _BART,
    "mt5": _T5,
    "t5": {**_T5, "feed_forward_proj": "relu"},
    "electra": {"embedding_size": 24},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "phi3": {"num_key_value_heads": 2},
    "olmo2": {"num_key_value_heads": 2},
    "olmo3": {"num_key_value_heads": 2, "sliding_window": 4},
    "stablelm": {"num_key_value_heads": 2, "use_parallel_residual": True},
    "starcoder2": {"num_key_value_heads": 2, "sliding_window": 4},
    "granite": {
        **{"embedding_multiplier": 1.5, "attention_multiplier": 0.5},
        **{"residual_multiplier": 0.7, "logits_scaling": 2.0},
    },
    "smollm3": {"num_key_value_heads": 2},
    "cohere": {"num_key_value_heads": 2, "logit_scale": 0.5},
    "cohere2": {"num_key_value_heads": 2, "logit_scale": 0.5, "sliding_window": 4},
}
UNLISTED = {
    "arcee": Unlisted("causal"),
    "gpt_bigcode": Unlisted("causal"),
    "mpnet": Unlisted("masked"),
}
SEQ2SEQ = ["bart", "mbart", "mt5", "t5"]
"""Architectures without a row."""
MASKED = ["bert", "roberta", "xlm-roberta", "distilbert"]
CAUSAL = [
    *("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3"),
    *("gemma", "gemma2", "gemma3_text", "opt"),
]
"""Tested in every respect. The others are tested in ``tests/models/test_families.py``."""
DAILY = ("bert", "gpt2", "llama", "gemma2")
"""An encoder, and decoders whose blocks differ most."""
EVERY_KIND = [
    pytest.param(each, marks=[] if each in DAILY else [pytest.mark.long])
    for each in MASKED + CAUSAL
]
"""The others are long tests: what differs between them is tested in ``tests/models``, too."""


@cache
def masked_tokenizer() -> Any:
    """Whole words, ``[CLS] … [SEP]``."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [w for w, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(TEXT)]
    vocabulary = {
        w: i
        for i, w in enumerate(dict.fromkeys(special + words + list("法国的首都是巴黎日本东京")))
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@cache
def byte_tokenizer(bos: bool = False) -> Any:
    """Byte-level BPE, as GPT-2 has it; with ``bos`` a start token in front, as Llama does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>", "<s>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 1)]
        )
    names = {"bos_token": "<s>"} if bos else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", **names)


def is_masked(architecture: str) -> bool:
    """Whether an architecture is a masked language model."""
    row = structure_of(architecture)
    return isinstance(row, Encoder) or row == Unlisted("masked")


def structure_of(architecture: str) -> Structure:
    """Its row in the table, or how the general adapter runs it."""
    if architecture in SEQ2SEQ:
        return Unlisted("seq2seq")
    return UNLISTED.get(architecture) or ARCHITECTURES[architecture]


def tokenizer_of(architecture: str) -> Any:
    """The tokenizer that goes with an architecture here."""
    if is_masked(architecture):
        return masked_tokenizer()
    return byte_tokenizer(architecture not in ("gpt2", "gpt_neox"))


def hf_model(architecture: str, seed: int = 0, **changes: Any) -> Any:
    """A Transformers model of this architecture: 3 layers, 32 wide, 48 neurons, random weights.

    The weights are large enough for probabilities to depend on the neurons visibly.
    """
    tokenizer = tokenizer_of(architecture)
    sizes = {**_SIZES, "vocab_size": len(tokenizer), **_EXTRA.get(architecture, {})}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 0}
    config = AutoConfig.for_model(architecture, **{**special, **sizes, **changes})
    kind = class_of(structure_of(architecture))
    torch.manual_seed(seed)
    model = kind.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        spread = 0.2 if parameter.dim() > 1 else 0.1
        if not is_norm(name):
            parameter.data.normal_(0, spread, generator=generator)
    return model


def is_norm(name: str) -> bool:
    """Whether a parameter of this name belongs to a normalisation layer."""
    return "norm" in name.lower() or "ln_" in name


@cache
def tiny(architecture: str, seed: int = 0) -> LanguageModel[Any]:
    """An adapted model; shared between tests, which must not change it."""
    return variant(architecture, seed)


def variant(architecture: str, seed: int = 0, **changes: Any) -> LanguageModel[Any]:
    """An adapted model whose configuration has these changes.

    No two of its norms are the same, so that an adapter that uses the wrong one is noticed.
    """
    hf = hf_model(architecture, seed, **changes)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in hf.named_parameters():
        if is_norm(name):
            noise = torch.empty_like(parameter).normal_(generator=generator)
            parameter.data.add_(0.1 * noise)
    return adapt(hf, tokenizer_of(architecture), structure_of(architecture), architecture)
