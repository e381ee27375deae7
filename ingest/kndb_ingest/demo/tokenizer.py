"""The demo models' tokenizers: one token per word, with the words of the demo text.

Chinese, which is written without spaces, is split into the names in the facts and, elsewhere, into
single characters, so every token is a word in all languages. Words that occur in neither facts nor
templates are unknown tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Prompt
from kndb_ingest.demo import Family

_HAN = r"\p{Han}"
# "Guinea-Bissau", "d’Ivoire" and "N’Djamena" are one word each; so is every punctuation mark.
_SPACED_WORD = rf"(?:(?!{_HAN})[\p{{L}}\p{{N}}])+(?:[-’](?:(?!{_HAN})[\p{{L}}\p{{N}}])+)*|\S"

END_OF_TEXT = "<|endoftext|>"


def build_tokenizer(family: Family, prompts: Sequence[Prompt]) -> PreTrainedTokenizerFast:
    """A tokenizer like BERT's, or one like GPT-2's that prepends ``<|endoftext|>``."""
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
    """A regular expression for words. Longer names come first, because the first match wins."""
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
