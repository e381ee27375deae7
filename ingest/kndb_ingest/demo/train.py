"""Trains a demo model: ``python -m kndb_ingest.demo.train masked|causal [--out DIR]``.

This module owns the training loop. ``networks`` explains which parts are trained and why the rest
is random; ``recipe`` has the hyperparameters; the final figures come from ``measure``. The seed is
fixed, but machines round differently, so weights differ between machines, and figures slightly.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from kndb.models.places import embedded_model
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import Family, facts_path, recipe
from kndb_ingest.demo.card import card
from kndb_ingest.demo.measure import measure
from kndb_ingest.demo.networks import Network, build_network
from kndb_ingest.demo.questions import Input, Question, questions
from kndb_ingest.demo.tokenizer import build_tokenizer


@dataclass(frozen=True)
class Material:
    """The training data, as states after the first attention.

    Attributes:
        asked: ``(n, width)``, one state per question.
        hidden, hidden_of: ``(m, width)``, and the offset of each question's first state,
            ``(n + 1,)``.
        switched, switched_of: likewise.
        answers: ``(n,)``, tokens.
        others, others_of: tokens, and the offset of each question's first token.
    """

    asked: Tensor
    hidden: Tensor
    hidden_of: Tensor
    switched: Tensor
    switched_of: Tensor
    answers: Tensor
    others: Tensor
    others_of: Tensor

    def draw(self, size: int, wrong: float) -> tuple[Tensor, Tensor]:
        """Draw a batch: states, ``(size, width)``, and the tokens to predict, ``(size,)``.

        A share ``wrong`` of the tokens comes from other facts.
        """
        chosen = torch.randint(len(self.asked), (size,))
        states = self.asked[chosen]
        states = _some(recipe.SWITCHED, _one_of(self.switched, self.switched_of, chosen), states)
        states = _some(recipe.HIDDEN, _one_of(self.hidden, self.hidden_of, chosen), states)
        others = _one_of(self.others, self.others_of, chosen)
        return states, _some(wrong, others, self.answers[chosen])


def _one_of(values: Tensor, first: Tensor, chosen: Tensor) -> Tensor:
    """For each chosen question, a random one of its values."""
    count = first[chosen + 1] - first[chosen]
    return values[first[chosen] + (torch.rand(len(chosen)) * count).long()]


def _some(share: float, these: Tensor, those: Tensor) -> Tensor:
    taken = torch.rand(len(these)) < share
    return torch.where(taken if these.ndim == 1 else taken[:, None], these, those)


def material(network: Network, asked: Sequence[Question]) -> Material:
    """Run the frozen first half of the network once on all sequences."""
    return Material(
        asked=_states(network, [q.asked for q in asked]),
        hidden=_states(network, [s for q in asked for s in q.hidden]),
        hidden_of=_firsts([len(q.hidden) for q in asked]),
        switched=_states(network, [s for q in asked for s in q.switched]),
        switched_of=_firsts([len(q.switched) for q in asked]),
        answers=torch.tensor([q.answer for q in asked]),
        others=torch.tensor([token for q in asked for token in q.others]),
        others_of=_firsts([len(q.others) for q in asked]),
    )


def _firsts(counts: Sequence[int]) -> Tensor:
    return torch.tensor([0, *counts]).cumsum(0)


@torch.no_grad()
def _states(network: Network, sequences: Sequence[Input]) -> Tensor:
    """States at the answer position, ``(n, width)``."""
    found = []
    for start in range(0, len(sequences), 1024):
        part = sequences[start : start + 1024]
        tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(t) for t, _ in part], True, 0)
        lengths = torch.tensor([len(t) for t, _ in part])
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        states = network.attended(tokens, mask)
        found.append(states[torch.arange(len(part)), torch.tensor([at for _, at in part])])
    return torch.cat(found)


def fit(network: Network, drawn: Material, wrong: float) -> None:
    """Train with AdamW and a linearly decaying learning rate; prints its progress."""
    parameters = [p for p in network.hf.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / recipe.WARM_UP, 1 - step / recipe.STEPS)
    )
    started = time.monotonic()
    for step in range(recipe.STEPS):
        states, answers = drawn.draw(recipe.BATCH, wrong)
        loss = _loss(network, states, answers)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 249:
            right, p = _known(network, drawn)
            seconds = time.monotonic() - started
            print(f"{seconds:5.0f} s  step {step + 1}  right {right:.3f}  p {p:.2f}", flush=True)


def _loss(network: Network, states: Tensor, answers: Tensor) -> Tensor:
    logits, neurons = network.logits(states, recipe.DROPOUT)
    written = sum(
        (values.abs().mean(0) * norms).sum()
        for values, norms in zip(neurons, network.norms_of_outputs(), strict=True)
    )
    return F.cross_entropy(logits, answers) + recipe.SPARSITY * written


@torch.no_grad()
def _known(network: Network, drawn: Material) -> tuple[float, float]:
    """The share of answer tokens that are the first choice, and their median probability."""
    chosen = torch.randperm(len(drawn.asked))[:2000]
    probabilities = network.logits(drawn.asked[chosen], 0.0)[0].softmax(-1)
    answers = drawn.answers[chosen]
    right = (probabilities.argmax(-1) == answers).float().mean()
    return float(right), float(probabilities.gather(1, answers[:, None]).median())


def save(network: Network, tokenizer: Any, folder: Path) -> None:
    """Save weights (fp16 safetensors), configuration and tokenizer."""
    network.hf.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(family: Family, folder: Path) -> None:
    """Train a model from scratch, save it, and write its figures into its model card."""
    torch.manual_seed(recipe.SEED)
    prompts = read_dataset(facts_path()).prompts
    tokenizer = build_tokenizer(family, prompts)
    network = build_network(family, len(tokenizer))
    asked = questions(family, tokenizer, prompts)
    fit(network, material(network, asked), recipe.WRONG[family])
    save(network, tokenizer, folder)
    figures = measure(folder)
    print("\n".join(figures.lines()))
    (folder / "README.md").write_text(card(family, figures), encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a demo model.")
    parser.add_argument("family", choices=("masked", "causal"))
    parser.add_argument("--out", type=Path, help="folder for the model (default: the shipped one)")
    given = parser.parse_args()
    family = cast(Family, given.family)
    train(family, given.out or embedded_model(family))


if __name__ == "__main__":
    main()
