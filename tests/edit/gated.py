"""A tiny gated model that is trained, in seconds, to answer the prompts of ``tiny``."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES
from kndb.models.loading import adapt
from tiny import PROMPTS, hf_model, tokenizer_of

STEPS = 60


@cache
def trained_llama() -> LanguageModel[Any]:
    """A Llama shape that gives each prompt's answer; shared: edits of it must be undone."""
    hf = hf_model("llama")
    model = adapt(
        hf, tokenizer_of("llama"), ARCHITECTURES["llama"], "llama", weights_sha256="ab" * 32
    )
    targets = [target for prompt in PROMPTS for target in model.targets(*prompt)]
    for parameter in hf.parameters():
        parameter.requires_grad_()
    optimiser = torch.optim.AdamW(hf.parameters(), 3e-3)
    for _ in range(STEPS):
        losses = [
            -hf(input_ids=torch.tensor([t.tokens])).logits[0, t.position].log_softmax(0)[t.answer]
            for t in targets
        ]
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    for parameter in hf.parameters():
        parameter.requires_grad_(False)
    return model
