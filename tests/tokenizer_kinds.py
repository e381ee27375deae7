"""Small tokenizers of every kind that models use, made on the spot from the tests' sentences.

Merges never cross a punctuation mark, so that the words of a sentence can be written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast
from transformers.models.bert_japanese import BertJapaneseTokenizer
from transformers.models.byt5 import ByT5Tokenizer
from transformers.models.ctrl import CTRLTokenizer

# What is learnt. The other sentences are made of single characters and bytes.
LEARNT = [
    "Mary's brother-in-law lives in New York, near Boston",
    "La capitale de l'Inde, d’après Zoé Müller, est",
    "Die Hauptstadt der Donaudampfschifffahrtsgesellschaft heißt",
    "¿Cuál es la capital de España? Es Madrid",
    "Столица Российской Федерации называется Москва",
    "भारत की राजधानी का नाम है",
    "عاصمة المملكة العربية السعودية هي الرياض",
    "法国 的 首都 是 巴黎 。 日本 の 首都 は 東京 です 。",
]
ALPHABET = sorted({*"".join(LEARNT).replace(" ", ""), *ascii_letters, *digits, *"%.!?()"})

_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")


def word_piece(lowercase: bool) -> Tokenizer:
    """As in BERT; in lower case, accents are stripped as well."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*LEARNT, *(f"{c} x{c}" for c in ALPHABET)], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def byte_level(pattern: str | None) -> Tokenizer:
    """As in GPT-2, or with the given pattern as in Qwen and Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    cut: list[Any] = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)
    apart = pre_tokenizers.Punctuation("isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cut, apart, last])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=["<|endoftext|>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LEARNT, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cut, last])
    return tokenizer


def sentence_piece(kind: str) -> Tokenizer:
    """BPE over "▁" without any split of the text, with bytes for unknown characters."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Punctuation("isolated")]
    )
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=650,
        special_tokens=["<unk>", "<s>", "</s>", "<mask>", *byte_tokens],
        initial_alphabet=["▁"],
        show_progress=False,
    )
    learnt.train_from_iterator(LEARNT, trainer)
    saved = json.loads(learnt.to_str())["model"]
    merges = [tuple(merge) for merge in saved["merges"]]
    tokenizer = Tokenizer(
        models.BPE(saved["vocab"], merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    if kind == "gemma":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    elif kind == "llama 2":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def unigram(kind: str) -> Tokenizer:
    """As in XLM-R, whose texts are split at white space first, or in mT5, where "▁" splits them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    steps = [pre_tokenizers.WhitespaceSplit()] if kind == "xlm-r" else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=250,
        special_tokens=["<unk>", "<s>", "</s>", "<mask>"],
        unk_token="<unk>",
        initial_alphabet=ALPHABET,
        show_progress=False,
    )
    tokenizer.train_from_iterator(LEARNT, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


_BERT = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_GPT = {"eos_token": "<|endoftext|>", "mask_token": "<mask>"}
_LLAMA = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}

FAST = {
    "WordPiece, cased": lambda: (word_piece(False), _BERT),
    "WordPiece, uncased": lambda: (word_piece(True), _BERT),
    "byte-level BPE, GPT-2": lambda: (byte_level(None), _GPT),
    "byte-level BPE, Llama 3": lambda: (byte_level(_LLAMA_3), _GPT),
    "byte-level BPE, Qwen": lambda: (byte_level(_QWEN), _GPT),
    "SentencePiece BPE, Gemma": lambda: (sentence_piece("gemma"), _LLAMA),
    "SentencePiece BPE, Llama 2": lambda: (sentence_piece("llama 2"), _LLAMA),
    "SentencePiece BPE, Mistral": lambda: (sentence_piece("mistral"), _LLAMA),
    "Unigram, XLM-R": lambda: (unigram("xlm-r"), _LLAMA),
    "Unigram, mT5": lambda: (unigram("mt5"), _LLAMA),
}


@cache
def fast(kind: str) -> Any:
    """The tokenizer of that kind, as Transformers has it."""
    tokenizer, names = FAST[kind]()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


SLOW = ("WordPiece in Python", "BPE with @@ in Python", "bytes in Python")


def slow(kind: str, folder: Path) -> Any:
    """A tokenizer without offsets."""
    if kind == "bytes in Python":
        return ByT5Tokenizer()
    if kind == "BPE with @@ in Python":
        return _ctrl(folder)
    pieces = [*ALPHABET, *(f"##{c}" for c in ALPHABET), "Haupt", "##stadt", "Mar", "##y", "New"]
    vocabulary = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces])
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return BertJapaneseTokenizer(str(folder / "vocab.txt"), word_tokenizer_type="basic")


def _ctrl(folder: Path) -> Any:
    """Merges make whole words of "New" and "lives"; the rest is single characters."""
    merges = ["N e", "Ne w</w>", "l i", "li v", "liv e", "live s</w>"]
    merged = [part.replace(" ", "") for part in merges]
    tokens = dict.fromkeys(["<unk>", *_parts(ALPHABET), *_parts(merged)])
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CTRLTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def _parts(tokens: Iterable[str]) -> list[str]:
    bare = [token.removesuffix("</w>") for token in tokens]
    return [form for token in bare for form in (token, f"{token}@@")]
