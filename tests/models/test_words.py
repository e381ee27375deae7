"""Words depend on the text, not the tokenizer: in eleven languages, on tokenizers of all
kinds, with the words written by hand, and against a slow implementation with sets.
"""

from __future__ import annotations

import random
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kndb.models.tokens import causal_targets, masked_targets, prompt_words, tokenize
from kndb.models.words import group_words
from tokenizer_kinds import FAST, SLOW, fast, slow

# (text, words); "|" is between words.
SPACED = {
    "en": (
        "Mary's brother-in-law lives in New York, near",
        "Mary|'|s|brother|-|in|-|law|lives|in|New|York|,|near",
    ),
    "fr": (
        "La capitale de l'Inde, d’après Zoé, est",
        "La|capitale|de|l|'|Inde|,|d|’|après|Zoé|,|est",
    ),
    "de": (
        "Die Hauptstadt der Donaudampfschifffahrtsgesellschaft heißt",
        "Die|Hauptstadt|der|Donaudampfschifffahrtsgesellschaft|heißt",
    ),
    "es": ("¿Cuál es la capital de España? Es", "¿|Cuál|es|la|capital|de|España|?|Es"),
    "ru": ("Столица Российской Федерации называется", "Столица|Российской|Федерации|называется"),
    "hi": ("भारत की राजधानी का नाम है", "भारत|की|राजधानी|का|नाम|है"),
    "ar": ("عاصمة المملكة العربية السعودية هي", "عاصمة|المملكة|العربية|السعودية|هي"),
    "numbers": ("3,5 % of A318", "3|,|5|%|of|A318"),
    "two spaces": ("New  York is", "New|York|is"),
}
UNSPACED = {
    "zh": "法国的首都是",
    "ja": "日本の首都は",
    "th": "เมืองหลวงของไทยคือ",
}
BARE = str.maketrans("", "", " ▁#")
BYTES = ("byte", "SentencePiece")  # kinds that cover every character


def words_of(tokenizer: Any, text: str) -> list[tuple[int, ...]]:
    return prompt_words(tokenize(tokenizer, text), text)


def shown(tokenizer: Any, text: str) -> list[str]:
    """The text that each word's tokens cover."""
    spans = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return [
        text[min(spans[i][0] for i in word) : max(spans[i][1] for i in word)].strip()
        for word in words_of(tokenizer, text)
    ]


@pytest.mark.parametrize("language", SPACED)
@pytest.mark.parametrize("kind", FAST)
def test_words_between_spaces(kind: str, language: str) -> None:
    text, words = SPACED[language]
    if "uncased" in kind:  # strips accents, and Hindi's vowel signs above or below
        assert [unaccented(word) for word in shown(fast(kind), text)] == unaccented(words).split(
            "|"
        )
    else:
        assert shown(fast(kind), text) == words.split("|")


def unaccented(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


@pytest.mark.parametrize("language", SPACED)
@pytest.mark.parametrize("kind", FAST)
def test_every_token_is_in_one_word(kind: str, language: str) -> None:
    text, _ = SPACED[language]
    tokenizer = fast(kind)
    ids = tokenizer(text)["input_ids"]
    tokens = [i for i, token in enumerate(ids) if token not in tokenizer.all_special_ids]
    assert sorted(i for word in words_of(tokenizer, text) for i in word) == tokens


@pytest.mark.parametrize("language", UNSPACED)
@pytest.mark.parametrize("kind", [k for k in FAST if k.startswith(BYTES)])
def test_a_token_of_a_script_without_spaces_is_a_word(kind: str, language: str) -> None:
    tokenizer, text = fast(kind), UNSPACED[language]
    ids = tokenizer(text)["input_ids"]
    names = tokenizer.convert_ids_to_tokens(ids)
    letters = [i for i, name in enumerate(names) if name not in ("<s>", "▁")]
    assert words_of(tokenizer, text) == [(i,) for i in letters]
    if language == "th":  # nothing learnt: three bytes per letter
        assert len(letters) > 2 * len(text)


@pytest.mark.parametrize("kind", ["WordPiece, cased", "Unigram, XLM-R", "Unigram, mT5"])
def test_chinese_and_japanese_tokens_of_whole_letters(kind: str) -> None:
    for text in (UNSPACED["zh"], UNSPACED["ja"]):
        words = shown(fast(kind), text)
        assert "".join(words) == text
        assert all(len(word) == 1 for word in words_of(fast(kind), text))


def test_letters_beside_a_script_without_spaces() -> None:
    tokenizer = fast("byte-level BPE, GPT-2")
    assert [word for word in shown(tokenizer, "York是法国的") if word[0] < "z"] == ["York"]


def test_an_emoji_of_several_bytes_is_part_of_its_word() -> None:
    for kind in FAST:
        if kind.startswith(BYTES):
            assert shown(fast(kind), "is 😀 New") == ["is", "😀", "New"]
            assert shown(fast(kind), "New😀York is") == ["New😀York", "is"]


def test_positions_are_those_of_the_original_text() -> None:
    assert shown(fast("WordPiece, uncased"), "ZOÉ EST À l'Inde") == [
        "ZOÉ",
        "EST",
        "À",
        "l",
        "'",
        "Inde",
    ]
    assert shown(fast("Unigram, XLM-R"), "ﬁn １２ l'Inde") == ["ﬁn", "１２", "l", "'", "Inde"]
    assert shown(fast("byte-level BPE, Llama 3"), "Zoe\u0301 est") == ["Zoe\u0301", "est"]


def test_pieces_that_one_token_touches_are_one_word() -> None:
    text = "d'un l'Inde, est."
    #        d   'un   l'    In      de,       est.
    spans = [(0, 1), (1, 4), (4, 7), (7, 9), (9, 12), (12, 17)]
    assert group_words(text, spans) == [(0,), (1,), (2,), (3, 4), (5,)]
    assert group_words("a.b.c", [(0, 1), (1, 3), (2, 4), (4, 5)]) == [(0,), (1, 2), (3,)]


def test_a_space_goes_with_the_word_after_it() -> None:
    assert group_words("a bc", [(0, 1), (1, 2), (2, 3), (3, 4)]) == [(0,), (1, 2, 3)]
    assert group_words("a 法", [(0, 1), (1, 2), (2, 3)]) == [(0,), (2,)]
    assert group_words("a ", [(0, 1), (1, 2)]) == [(0,)]
    assert group_words("F", [(0, 0), (0, 1)]) == [(0, 1)]
    assert group_words("", []) == []


def test_masks_are_no_word_and_join_none() -> None:
    text = "New<mask><mask>York"
    spans = [(0, 3), (3, 9), (9, 15), (15, 19)]
    assert group_words(text, [spans[0], None, None, spans[3]], (3, 15)) == [(0,), (3,)]
    assert group_words("NewMMYork", [(0, 3), None, (5, 9)], (3, 5)) == [(0,), (2,)]


@pytest.mark.parametrize("kind", ["WordPiece, cased", "byte-level BPE, GPT-2", "Unigram, XLM-R"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("La capitale de l'Inde est [MASK].", "La|capitale|de|l|'|Inde|est"),
        ("La capitale de l'[MASK], est", "La|capitale|de|l|'|,|est"),
        ("New[MASK]York, is", "New|York|,|is"),
    ],
)
def test_the_answers_masks_are_no_word(kind: str, text: str, words: str) -> None:
    tokenizer = fast(kind)
    (first, *_) = masked_targets(tokenizer, text, "Inde", 99)
    marks = {tokenizer.mask_token_id, *tokenizer.all_special_ids}
    found = [
        tokenizer.decode([first.tokens[i] for i in word]).translate(BARE) for word in first.words
    ]
    assert [w for w in found if w != "."] == words.split("|")
    assert not marks.intersection(first.tokens[i] for word in first.words for i in word)


@pytest.mark.parametrize("kind", [k for k in FAST if k.startswith(BYTES)])
def test_a_special_token_within_the_text_is_no_word(kind: str) -> None:
    tokenizer = fast(kind)
    (first, *_) = causal_targets(tokenizer, "New <mask> York is [MASK]", "Inde", 99)
    assert tokenizer.mask_token_id not in [first.tokens[i] for w in first.words for i in w]
    assert len(first.words) == 3


def naive_pieces(text: str) -> list[set[int]]:
    """Runs of characters between white space, punctuation marks by themselves."""

    def mark(c: str) -> bool:
        return unicodedata.category(c)[0] == "P" or c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

    borders = {0, len(text)}
    for i, c in enumerate(text):
        if c.isspace() or mark(c):
            borders |= {i, i + 1}
    runs = [set(range(a, b)) for a, b in pairwise(sorted(borders))]
    return [run for run in runs if not text[min(run)].isspace()]


def naive_words(tokenizer: Any, text: str) -> list[tuple[int, ...]]:
    """Words by sets of characters, joined until nothing changes."""
    encoded = tokenizer(text, return_offsets_mapping=True)
    names = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    covered = [
        {i for i in range(a, b) if not text[i].isspace()} if name.strip("▁Ġ") else set()
        for name, (a, b) in zip(names, encoded["offset_mapping"], strict=True)
    ]
    special = [i in tokenizer.all_special_ids for i in encoded["input_ids"]]
    covered = [seen if not s else set() for seen, s in zip(covered, special, strict=True)]
    alone = {t for t, seen in enumerate(covered) if any(_unspaced(text[i]) for i in seen)}
    words = naive_pieces(text)
    for t, seen in enumerate(covered):
        if t not in alone:
            touched = [word for word in words if word & seen]
            words = [word for word in words if word not in touched] + [set().union(*touched)]
    groups = [{t} for t in alone]
    for word in words:
        groups.append({t for t, seen in enumerate(covered) if seen & word and t not in alone})
    for t in reversed(range(len(covered) - 1)):  # white space, to the word after it
        if not covered[t] and not special[t]:
            for group in groups:
                if t + 1 in group and t + 1 not in alone:
                    group.add(t)
    return sorted(tuple(sorted(group)) for group in groups if group)


def _unspaced(c: str) -> bool:
    scripts = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
    return unicodedata.name(c, "").startswith(scripts) and unicodedata.category(c)[0] in "LM"


@pytest.mark.parametrize("kind", FAST)
def test_against_sets_of_characters(kind: str) -> None:
    texts = [text for text, _ in SPACED.values()] + [*UNSPACED.values()]
    rng = random.Random(kind)
    everything = (
        " ".join(texts).split() + list("法の😀.,'’-()A7é เดन") + ["  ", "...", "(法国)", "N.Y."]
    )
    for _ in range(200):
        parts = rng.choices(everything, k=8)
        texts.append("".join(part + rng.choice(["", " "]) for part in parts).strip())
    tokenizer = fast(kind)
    for text in texts:
        assert sorted(words_of(tokenizer, text)) == naive_words(tokenizer, text), text


@pytest.mark.parametrize("language", SPACED)
@pytest.mark.parametrize("kind", SLOW)
def test_tokenizers_without_positions(kind: str, language: str, tmp_path: Path) -> None:
    text, words = SPACED[language]
    tokenizer = slow(kind, tmp_path)
    assert not tokenizer.is_fast
    ids = tokenizer(text)["input_ids"]
    found = [
        tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens([ids[i] for i in word]))
        for word in words_of(tokenizer, text)
    ]
    assert [word.replace("##", "").replace("@@", "").strip() for word in found] == words.split("|")


@pytest.mark.parametrize("kind", SLOW)
def test_chinese_without_positions(kind: str, tmp_path: Path) -> None:
    tokenizer = slow(kind, tmp_path)
    tokens = tokenize(tokenizer, UNSPACED["zh"])
    assert prompt_words(tokens, UNSPACED["zh"]) == [
        (i,) for i, special in enumerate(tokens.special) if not special
    ]


def test_an_answer_without_positions_stands_in_its_sentence(tmp_path: Path) -> None:
    tokenizer = slow("WordPiece in Python", tmp_path)
    (first, *rest) = masked_targets(tokenizer, "La Hauptstadt de [MASK], est", "New", 99)
    assert not rest
    assert tokenizer.convert_ids_to_tokens([first.answer]) == ["New"]
    assert [[first.tokens[i] for i in word] for word in first.words][1] == (
        tokenizer.convert_tokens_to_ids(["Haupt", "##stadt"])
    )


def test_tokens_that_are_not_in_the_text_are_words(tmp_path: Path) -> None:
    class Rewriting(type(slow("bytes in Python", tmp_path))):  # type: ignore[misc]
        def _tokenize(self, text: str) -> list[str]:
            return list("xyz")

    tokenizer = Rewriting()
    assert tokenize(tokenizer, "New York").spans is None
    assert words_of(tokenizer, "New York") == [(0,), (1,), (2,)]
