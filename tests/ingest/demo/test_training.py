"""The parts of the demo models' training, on untrained networks."""

from __future__ import annotations

import pytest
import torch

from kndb.facts import Fact, Prompt
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import Family, facts_path
from kndb_ingest.demo.networks import build_network
from kndb_ingest.demo.questions import questions
from kndb_ingest.demo.tokenizer import build_tokenizer

FRANCE = Fact("P36", "Q142", "Q90")
INDIA = Fact("P36", "Q668", "Q987")
PROMPTS = [
    Prompt(FRANCE, "en", "The capital of [X] is [Y].", "France", "Paris"),
    Prompt(FRANCE, "zh", "[X]的首都是[Y]。", "法国", "巴黎"),
    Prompt(INDIA, "en", "The capital of [X] is [Y].", "India", "New Delhi"),
    Prompt(INDIA, "zh", "[X]的首都是[Y]。", "印度", "新德里"),
    Prompt(INDIA, "en", "[Y] is the capital of [X].", "India", "New Delhi"),
]


@pytest.mark.parametrize("family", ["masked", "causal"])
def test_the_two_halves_are_the_models_forward_pass(family: Family) -> None:
    torch.manual_seed(0)
    network = build_network(family, vocabulary=50)
    network.hf.eval()
    tokens = torch.randint(5, 50, (4, 9))
    padded = torch.nn.functional.pad(tokens, (0, 3))
    with torch.no_grad():
        states = network.attended(padded, torch.arange(12).expand(4, 12) < 9)
        logits, neurons = network.logits(states[:, 6], dropout=0.0)
        expected = network.hf(tokens).logits[:, 6]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert [x.shape for x in neurons] == [x.expand(4, -1).shape for x in network.norms_of_outputs()]


@pytest.mark.parametrize("family", ["masked", "causal"])
def test_embeddings_and_attention_are_not_trained(family: Family) -> None:
    network = build_network(family, vocabulary=50)
    trained = {name for name, p in network.hf.named_parameters() if p.requires_grad}
    frozen = (
        "embeddings",
        "wte",
        "wpe",
        "self",
        "c_attn",
        "attn.c_proj",
        "decoder.weight",
        "lm_head",
    )
    assert trained
    assert not [name for name in trained if any(part in name for part in frozen)]


def test_masked_answers_are_masks_and_causal_ones_follow_their_beginning() -> None:
    found = {}
    for family in ("masked", "causal"):
        tokenizer = build_tokenizer(family, PROMPTS)
        for question in questions(family, tokenizer, PROMPTS):
            tokens, position = question.asked
            words = tokenizer.convert_ids_to_tokens(list(tokens))
            answer = tokenizer.convert_ids_to_tokens(question.answer)
            found[family, " ".join(words), position] = answer
    assert found["masked", "[CLS] The capital of India is [MASK] [MASK] . [SEP]", 6] == "New"
    assert found["masked", "[CLS] The capital of India is [MASK] [MASK] . [SEP]", 7] == "Delhi"
    assert found["masked", "[CLS] 法国 的 首 都 是 [MASK] 。 [SEP]", 6] == "巴黎"
    assert found["causal", "<|endoftext|> The capital of India is", 5] == "New"
    assert found["causal", "<|endoftext|> The capital of India is New", 6] == "Delhi"
    assert not [text for family, text, _ in found if family == "causal" and "the" in text.split()]


def test_a_question_knows_its_disturbances() -> None:
    tokenizer = build_tokenizer("causal", PROMPTS)
    first, *_ = questions("causal", tokenizer, PROMPTS)
    switched = [tokenizer.decode(tokens) for tokens, _ in first.switched]
    assert switched == ["<|endoftext|> The capital of 法国 is"]
    assert [tokens.count(tokenizer.eos_token_id) for tokens, _ in first.hidden] == [2] * 5
    assert tokenizer.convert_ids_to_tokens(list(first.others)) == ["New", "Paris"]


def test_the_tokenizers_know_every_word_of_the_facts() -> None:
    prompts = read_dataset(facts_path(), limit=40).prompts
    for family in ("masked", "causal"):
        tokenizer = build_tokenizer(family, prompts)
        for prompt in prompts:
            text = prompt.template.replace("[X]", prompt.subject).replace("[Y]", prompt.answer)
            assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
