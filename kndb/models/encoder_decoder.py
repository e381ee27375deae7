"""Encoder-decoders (T5, BART and their multilingual kin), asked at the decoder's position.

The encoder reads the prompt with one mask in place of the answer. A model with sentinels (T5)
repeats the sentinel in the decoder, and the answer follows it; one that repeats the whole text
(BART) gets the prompt up to the answer in the decoder, too. Neurons are the decoder's.

A target's sequence holds the encoder's tokens, then the decoder's, each of these stored as
``-1 - token``, so that the border shows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kndb.models.base import Target
from kndb.models.checkpoint import general_window
from kndb.models.general import General
from kndb.models.tokens import (
    answer_tokens,
    check_length,
    check_usable,
    prompt_words,
    split_prompt,
    tokenize,
    without_special_end,
)

SENTINEL = "<extra_id_0>"


def mask_of(tokenizer: Any) -> str | None:
    """The token that stands for the answer in the encoder, if the tokenizer has one."""
    if SENTINEL in tokenizer.get_vocab():
        return SENTINEL
    return tokenizer.mask_token  # type: ignore[no-any-return]


class EncoderDecoder(General):
    """An encoder-decoder; see :class:`kndb.models.base.LanguageModel`."""

    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """See :meth:`LanguageModel.targets`: each token follows those before it in the decoder.

        Raises:
            Unusable: see :func:`kndb.models.tokens.masked_targets`.
        """
        tokenizer = self.tokenizer
        before, after = split_prompt(text, answer)
        mask = mask_of(tokenizer)
        assert mask is not None
        ids = answer_tokens(tokenizer, before, answer.strip(), after)
        filled = before + mask + after
        encoder = tokenize(tokenizer, filled)
        words = prompt_words(encoder, filled, (len(before), len(before) + len(mask)))
        filler = tokenizer.convert_tokens_to_ids(mask)
        prompt = [token for token in encoder.ids if token != filler]
        check_usable(tokenizer, prompt, ids, words)
        if mask == SENTINEL:
            decoder = [self.hf.config.decoder_start_token_id, filler]
        else:
            decoder, repeated = self._repeated(before, len(encoder.ids))
            words = [
                word + (repeated[i] if i < len(repeated) else ()) for i, word in enumerate(words)
            ]
        check_length(max(len(encoder.ids), len(decoder) + len(ids) - 1), general_window(self.hf))
        return tuple(
            Target(
                (*encoder.ids, *(-1 - token for token in [*decoder, *ids[:t]])),
                len(encoder.ids) + len(decoder) + t - 1,
                token,
                tuple(words),
                filler,
            )
            for t, token in enumerate(ids)
        )

    def _repeated(self, before: str, start: int) -> tuple[list[int], list[tuple[int, ...]]]:
        """The decoder's input for the text before the answer, and the positions of its words.

        Args:
            before: the text.
            start: where the decoder's input begins in the target's sequence.
        """
        whole = tokenize(self.tokenizer, before.rstrip())
        tokens = without_special_end(whole)
        end = [] if len(tokens.ids) < len(whole.ids) else [self.tokenizer.eos_token_id]
        labels = torch.tensor([[*whole.ids, *end]], device=self.device)
        shifted = self.hf.prepare_decoder_input_ids_from_labels(labels=labels)[0].tolist()
        words = prompt_words(tokens, before)
        return shifted[: 1 + len(tokens.ids)], [
            tuple(start + 1 + position for position in word) for word in words
        ]

    def _few_tokens(self) -> Tensor:
        return torch.tensor([[0, 0, 0, -1, -1]], device=self.device)

    def _inputs(self, tokens: Tensor) -> dict[str, Any]:
        """The arguments of a run; where borders differ, both parts are padded on the right."""
        border, length = _border(tokens)[:, None], tokens.shape[1]
        encoder = torch.arange(int(border.max()), device=tokens.device).expand(len(tokens), -1)
        longest = length - int(border.min())
        decoder = border + torch.arange(longest, device=tokens.device)
        own = tokens.gather(1, decoder.clamp(max=length - 1))
        return {
            "input_ids": tokens.gather(1, encoder).clamp(min=0),
            "attention_mask": (encoder < border).long(),
            "decoder_input_ids": torch.where(own < 0, -1 - own, own),
            "decoder_attention_mask": (decoder < length).long(),
            "use_cache": False,
        }

    def _read_at(self, tokens: Tensor, positions: Tensor) -> Tensor:
        return positions - _border(tokens)


def _border(tokens: Tensor) -> Tensor:
    """Where the decoder's part begins in each sequence, ``(sequences,)``."""
    return (tokens < 0).long().argmax(1)
