"""Prompts as models see them: answer tokens, positions, words, and what cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from kndb.models import Target, Unusable
from kndb.models.tokens import causal_targets, masked_targets
from tiny import byte_tokenizer, masked_tokenizer

FRANCE = "The capital of France is [MASK] ."


def masked(text: str, answer: str, longest: int = 40) -> Sequence[Target]:
    return masked_targets(masked_tokenizer(), text, answer, longest)


def causal(text: str, answer: str, longest: int = 40, bos: bool = False) -> Sequence[Target]:
    return causal_targets(byte_tokenizer(bos), text, answer, longest)


def words(targets: Sequence[Target]) -> list[list[int]]:
    return [[targets[0].tokens[i] for i in word] for word in targets[0].words]


def test_masked_has_one_mask_per_answer_token() -> None:
    tokenizer = masked_tokenizer()
    first, second = masked("The capital of Japan is [MASK] .", "New Tokyo")
    assert first.tokens == second.tokens
    assert [first.tokens[t.position] for t in (first, second)] == [tokenizer.mask_token_id] * 2
    assert tokenizer.convert_ids_to_tokens([first.answer, second.answer]) == ["New", "Tokyo"]


def test_no_special_token_is_an_answer() -> None:
    for target in (*masked(FRANCE, "Paris"), *causal(FRANCE, "Paris", bos=True)):
        assert target.answer not in masked_tokenizer().all_special_ids


def test_masked_words_leave_out_specials_and_masks_but_not_punctuation() -> None:
    found = [masked_tokenizer().convert_ids_to_tokens(w) for w in words(masked(FRANCE, "Paris"))]
    assert found == [["The"], ["capital"], ["of"], ["France"], ["is"], ["."]]


@pytest.mark.parametrize(
    ("answer", "first"), [("Paris", "ĠP"), ("New", "Ġ")], ids=["in-a-token", "a-token-by-itself"]
)
def test_causal_answer_has_its_space_and_its_case(answer: str, first: str) -> None:
    targets = causal(FRANCE, answer)
    assert byte_tokenizer().decode([t.answer for t in targets]) == f" {answer}"
    assert byte_tokenizer().convert_ids_to_tokens([targets[0].answer]) == [first]
    assert byte_tokenizer().decode(targets[0].tokens) == "The capital of France is"


def test_causal_tokens_are_conditioned_on_the_gold_prefix() -> None:
    targets = causal("The capital of Japan is [MASK] .", "New Tokyo")
    assert len(targets) > 1
    for before, after in pairwise(targets):
        assert after.tokens == (*before.tokens, before.answer)
        assert after.position == len(after.tokens) - 1


def test_causal_prompt_starts_with_the_start_token_and_ends_in_none() -> None:
    tokenizer = byte_tokenizer(True)
    (first, *_) = causal(FRANCE, "Paris", bos=True)
    assert first.tokens[0] == tokenizer.bos_token_id
    assert first.tokens[-1] not in tokenizer.all_special_ids
    assert all(0 not in word for word in first.words)


def test_a_word_is_all_tokens_of_a_pre_token() -> None:
    tokenizer = byte_tokenizer()
    found = [
        tokenizer.decode(word) for word in words(causal("People in Germany speak [MASK]", "X"))
    ]
    assert found == ["People", " in", " Germany", " speak"]


def test_scripts_without_spaces_have_a_word_per_token() -> None:
    (first, *_) = causal("法国的首都是[MASK]。", "巴黎")
    assert all(len(word) == 1 for word in first.words)
    assert len(first.words) == len(first.tokens) > 1
    assert (
        byte_tokenizer().decode([t.answer for t in causal("法国的首都是[MASK]。", "巴黎")])
        == "巴黎"
    )


def test_the_filler_is_the_mask_or_the_end_of_sequence() -> None:
    assert masked(FRANCE, "Paris")[0].filler == masked_tokenizer().mask_token_id
    assert causal(FRANCE, "Paris")[0].filler == byte_tokenizer().eos_token_id


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("The capital of France .", "Paris", "no placeholder"),
        ("[MASK] and [MASK] .", "Paris", "more than one"),
        (FRANCE, " ", "answer missing"),
        (FRANCE, "Atlantis", "answer has unknown tokens"),
        ("The capital of Atlantis is [MASK] .", "Paris", "prompt has unknown tokens"),
        ("[MASK]", "Paris", "no words"),
        ("of " * 50 + "[MASK] .", "Paris", "too long"),
    ],
)
def test_what_a_masked_model_cannot_use(text: str, answer: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        masked(text, answer)


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("[MASK] is the capital of France .", "Paris", "not last"),
        ("The capital [MASK] is large", "Paris", "not last"),
        ("[MASK].", "Paris", "no words"),
        ("of " * 50 + "[MASK].", "Paris", "too long"),
    ],
)
def test_what_a_causal_model_cannot_use(text: str, answer: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        causal(text, answer)


@pytest.mark.parametrize("end", ["", ".", " .", "。", "!", "…"])
def test_a_causal_prompt_may_end_in_a_full_stop(end: str) -> None:
    assert causal("The capital of France is [MASK]" + end, "Paris")
