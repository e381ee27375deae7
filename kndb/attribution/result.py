"""What the engine finds for one prompt: values, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kndb.cells import column_texts
from kndb.html_table import Column, Titled, html_table, lengths

_NO_WORDS = "words contribute by themselves with a preset such as amig, and words=True"


def _no_words() -> NDArray[np.float32]:
    return np.zeros((0, 0, 0), dtype=np.float32)


@dataclass(frozen=True, repr=False)
class Attribution:
    """What the engine found for one prompt.

    Attributes:
        index: the prompt's number in the input.
        reason: why there are no scores, or None.
        p_answer: the answer's probability: the mean over its tokens.
        p_tokens: each token's probability.
        rank: rank of the answer among all tokens, 1 for the model's first choice; for several
            tokens, the worst of their ranks.
        predicted: the model's own first choice.
        completeness: the worst relative residual among the prompt's paths.
        score_error: the larger of two estimates: the L2 error of the scores relative to their L2
            norm, and the largest error of a neuron relative to the top score; NaN for a fixed rule,
            which gives no estimate. What bfloat16 or float16 round is not in it.
        scores: ``(n_layers, n_neurons)`` float32, the mean over the answer's tokens; empty if
            there is a ``reason``.
        failed: whether the model was asked, and gave numbers that are not finite; the reason names
            the layer. Otherwise a reason says why it could not be asked.
        text: the prompt.
        answer: its answer.
        words: the words of the prompt, each of which is masked in one baseline; empty where paths
            do not start at words, or words were not asked for.
        word_scores: ``(words, n_layers, n_neurons)`` float32, what each word's path adds to
            ``scores``, which is their sum.
    """

    index: int
    reason: str | None
    p_answer: float
    p_tokens: tuple[float, ...]
    rank: int
    predicted: str
    completeness: float
    score_error: float
    scores: NDArray[np.float32]
    failed: bool = False
    text: str = ""
    answer: str = ""
    words: tuple[str, ...] = ()
    word_scores: NDArray[np.float32] = field(default_factory=_no_words)

    def top(self, n: int = 20) -> list[tuple[int, int, float]]:
        """The ``n`` neurons with the highest scores, as ``(layer, neuron, score)``."""
        best = np.argsort(-self.scores, axis=None)[:n]
        layers, neurons = np.unravel_index(best, self.scores.shape)
        return [
            (int(layer), int(neuron), float(self.scores[layer, neuron]))
            for layer, neuron in zip(layers, neurons, strict=True)
        ]

    def by_word(self) -> list[tuple[str, float]]:
        """Each word of the prompt with its contribution, in the order of the text.

        A word's contribution is the sum of its path's scores over all neurons: how much of the
        answer's probability comes back, layer by layer, when its masking is undone.
        """
        sums = self.word_scores.sum((1, 2), dtype=np.float64)
        return list(zip(self.words, sums.tolist(), strict=True))

    def show(self, neurons: int = 3) -> None:
        """Print the words with their contributions, and the strongest neurons of each layer.

        Args:
            neurons: how many neurons of each layer.
        """
        # Here, because only people who look at a prompt need Rich.
        from kndb.text_table import print_tables

        print_tables(self._titled(neurons))

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return "".join(html_table(columns, *head) for *head, columns in self._titled(3))

    def _titled(self, neurons: int) -> list[Titled]:
        """Its tables, the first below the heading; without scores, the heading alone."""
        first, *others = self._tables(neurons) or [[]]
        return [(*self._heading(), first), *(("", "", columns) for columns in others)]

    def _heading(self) -> tuple[str, str]:
        """The prompt with its answer, and what the model says to it."""
        title = f"{self.text} → {self.answer}"
        if self.reason is not None:
            return title, f"No scores: {self.reason}."
        about = f"p {self.p_answer:.4f}, rank {self.rank}, first choice {self.predicted}"
        return title, about if self.words else f"{about}; {_NO_WORDS}"

    def _tables(self, neurons: int) -> list[list[Column]]:
        """The words, if there are any, and the layers; nothing for a prompt without scores."""
        if self.reason is not None:
            return []
        layers = _layer_columns(self.scores, neurons)
        if not self.words:
            return [layers]
        values = [value for _, value in self.by_word()]
        contributions = Column("contribution", column_texts(values), True, lengths(values))
        return [[Column("word", self.words), contributions], layers]

    def __repr__(self) -> str:
        about = f"of {self.answer!r} to {self.text!r}" if self.text else f"{self.index}"
        if self.reason is not None:
            return f"<Attribution {about}: none, {self.reason}>"
        best = ", ".join(f"{layer}:{neuron} {score:.4f}" for layer, neuron, score in self.top(3))
        return f"<Attribution {about}: p {self.p_answer:.4f}, rank {self.rank}; {best}>"


def _layer_columns(scores: NDArray[np.float32], neurons: int) -> list[Column]:
    """The layers, the sums of their scores, and their strongest neurons."""
    sums = scores.sum(1, dtype=np.float64).tolist()
    best = np.argsort(-scores, axis=1, kind="stable")[:, :neurons]
    texts = iter(column_texts(np.take_along_axis(scores, best, 1).ravel().tolist()))
    strongest = [
        "  ".join(f"{layer}:{index} {next(texts)}" for index in own)
        for layer, own in enumerate(best.tolist())
    ]
    return [
        Column("layer", list(map(str, range(len(sums)))), right=True),
        Column("sum of scores", column_texts(sums), True, lengths(sums)),
        Column("strongest neurons", strongest),
    ]
