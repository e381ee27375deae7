"""The demo models' tokenizers: one token a word, made from the words of the demo text.

Chinese, written without spaces, is cut by the names in the facts, and into single characters
elsewhere; each token is therefore a word in every language. A word of neither facts nor
templates is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Prompt
from kndb_ingest.demo import Family

_HAN = r"\p{Han}"
# "Guinea-Bissau", "d’Ivoire" and "N’Djamena" are one word each; every sign is one.
_SPACED_WORD = rf"(?:(?!{_HAN})[\p{{L}}\p{{N}}])+(?:[-’](?:(?!{_HAN})[\p{{L}}\p{{N}}])+)*|\S"

END_OF_TEXT = "<|endoftext|>"


def build_tokenizer(family: Family, prompts: Sequence[Prompt]) -> PreTrainedTokenizerFast:
    """A BERT-like tokenizer, or a GPT-2-like one that puts ``<|endoftext|>`` in front."""
    cut = pre_tokenizers.Split(Regex(_pattern(prompts)), "removed", invert=True)
    words = {word for text in _texts(prompts) for word, _ in cut.pre_tokenize_str(text)}
    if family == "masked":
        return _masked(cut, sorted(words))
    return _causal(cut, sorted(words))


def _masked(cut: pre_tokenizers.PreTokenizer, words: list[str]) -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = _word_level(cut, special, words, unknown="[UNK]")
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


def _causal(cut: pre_tokenizers.PreTokenizer, words: list[str]) -> PreTrainedTokenizerFast:
    special = [END_OF_TEXT, "<unk>"]
    tokenizer = _word_level(cut, special, words, unknown="<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=END_OF_TEXT,
        unk_token="<unk>",
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
    )


def _word_level(
    cut: pre_tokenizers.PreTokenizer, special: list[str], words: list[str], unknown: str
) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = cut
    return tokenizer


def _pattern(prompts: Iterable[Prompt]) -> str:
    """What is a word. Of names that begin alike the longest comes first."""
    names = {
        name
        for prompt in prompts
        if prompt.lang == "zh"
        for name in (prompt.subject, prompt.answer)
    }
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return "|".join([*(re.escape(name) for name in ordered), _HAN, _SPACED_WORD])


def _texts(prompts: Iterable[Prompt]) -> Iterable[str]:
    for prompt in prompts:
        yield prompt.template.replace(SUBJECT_PLACEHOLDER, prompt.subject).replace(
            OBJECT_PLACEHOLDER, prompt.answer
        )
