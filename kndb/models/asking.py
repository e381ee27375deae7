"""What a model answers to prompts, as it is now: probabilities and first choices. Changes nothing.

Unlike the attribution engine it needs neither neurons nor gradients, only the answer positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from kndb.models import LanguageModel, Target, Unusable
from kndb.models.masked_lm import MaskedLM

Question = tuple[str, str]
"""A text with ``[MASK]``, and an answer."""

BUDGET = 64 * 2**20
"""Bytes for the logits and activations of one batch; more is not faster on a CPU."""

KNOWN_TEXTS = 4096
"""Tokenized questions that are kept: the same prompts are asked before and after an edit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model makes of a question.

    Attributes:
        p: probability of the answer: the mean over its tokens.
        surprise: ``-ln p`` of its tokens, the mean.
        first: every token of the answer is the model's first choice.
        predicted: the model's first choice, of as many tokens.
    """

    p: float
    surprise: float
    first: bool
    predicted: str


@dataclass(frozen=True, slots=True)
class _Item:
    """One sequence to run, and the tokens to read in it."""

    question: int
    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    answers: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.tokens), len(self.positions)


class Asker:
    """Asks one model, in whatever state its weights and hooks are."""

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.model = model
        self.targets = lru_cache(KNOWN_TEXTS)(self._targets)

    def ask(self, questions: Sequence[Question]) -> list[Answer | str]:
        """An answer for each question, or why the model cannot be asked it."""
        found: list[Any] = [self.targets(*question) for question in questions]
        items = [
            item
            for number, targets in enumerate(found)
            if not isinstance(targets, str)
            for item in _items(number, targets, isinstance(self.model, MaskedLM))
        ]
        items.sort(key=lambda item: item.shape)
        parts: dict[int, list[tuple[float, int, bool]]] = {}
        for _, alike in groupby(items, key=lambda item: item.shape):
            for number, tokens in self._run(list(alike)):
                parts.setdefault(number, []).extend(tokens)
        for number, tokens in parts.items():
            found[number] = self._answer(tokens)
        return found

    def _targets(self, text: str, answer: str) -> tuple[Target, ...] | str:
        try:
            return self.model.targets(text, answer)
        except Unusable as reason:
            return str(reason)

    def _run(self, items: list[_Item]) -> Iterator[tuple[int, list[tuple[float, int, bool]]]]:
        """Per item its question and, token by token: ``ln p``, the first choice, is that it?"""
        size = max(1, BUDGET // self._bytes(items[0]))
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            log_p, first = self._read(batch)
            for item, values, choices in zip(batch, log_p, first, strict=True):
                yield (
                    item.question,
                    [
                        (value, choice, choice == answer)
                        for value, choice, answer in zip(values, choices, item.answers, strict=True)
                    ],
                )

    @torch.no_grad()
    def _read(self, batch: Sequence[_Item]) -> tuple[list[list[float]], list[list[int]]]:
        tokens, at, answers = (
            torch.tensor([getattr(item, name) for item in batch], device=self.model.device)
            for name in ("tokens", "positions", "answers")
        )
        logits = self._logits(tokens, at)
        log_p = logits.gather(2, answers[..., None])[..., 0] - logits.logsumexp(2)
        return log_p.tolist(), logits.argmax(2).tolist()

    def _logits(self, tokens: Tensor, at: Tensor) -> Tensor:
        """Logits ``(rows, positions, vocabulary)`` at the answer positions only."""
        # All tokens count, though one may be the padding token.
        ones = torch.ones_like(tokens)
        hidden = self.model.hf.base_model(input_ids=tokens, attention_mask=ones)[0]
        hidden = hidden[torch.arange(len(tokens), device=tokens.device)[:, None], at]
        for part in self.model.transform if isinstance(self.model, MaskedLM) else ():
            hidden = part(hidden)
        return self.model.logits(hidden.flatten(0, 1)).view(*at.shape, -1)

    def _bytes(self, item: _Item) -> int:
        length, positions = item.shape
        inside = length * (self.model.info.n_neurons + 8 * self.model.width)
        return inside * self.model.dtype.itemsize + 8 * positions * len(
            self.model.unembedding.weight
        )

    def _answer(self, tokens: Sequence[tuple[float, int, bool]]) -> Answer:
        log_p = torch.tensor([value for value, _, _ in tokens], dtype=torch.double)
        return Answer(
            float(log_p.exp().mean()),
            float(-log_p.mean()),
            all(first for _, _, first in tokens),
            self.model.tokenizer.decode([choice for _, choice, _ in tokens]).strip(),
        )


def _items(question: int, targets: Sequence[Target], together: bool) -> Iterator[_Item]:
    """All masks stand in one sequence; each token of a causal answer has one of its own."""
    if together:
        yield _Item(
            question,
            targets[0].tokens,
            tuple(target.position for target in targets),
            tuple(target.answer for target in targets),
        )
        return
    for target in targets:
        yield _Item(question, target.tokens, (target.position,), (target.answer,))
