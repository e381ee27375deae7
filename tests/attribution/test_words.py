"""What each word contributes: its own path, integrated by an independent implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attribution.naive import Naive
from kndb.attribution import PRESETS, Settings, attribute
from kndb.errors import UsageError
from kndb.html_table import Column
from kndb.models import LanguageModel, Target
from kndb.text_table import print_tables
from planting import plant, quiet_model
from tiny import PROMPTS, tiny

NODES = 12
FRANCE, _, JAPAN, GERMAN = PROMPTS


def along_one_path(naive: Naive, target: Target, word: tuple[int, ...], layer: int) -> Tensor:
    """Eq. 2 along the path that starts where this word is masked, ``(n_neurons,)``."""
    start = naive.masked(target, word, layer)
    end = naive.read(target.tokens, layer, target.position)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    points = [torch.lerp(start, end, float(node + 1) / 2) for node in nodes]
    gradients = naive.gradients(target, layer, torch.stack(points))
    return (end - start) * (torch.tensor(weights / 2).float() @ gradients)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize("prompt", [FRANCE, JAPAN])
def test_each_word_is_its_own_path_and_all_are_the_scores(
    architecture: str, prompt: tuple[str, str]
) -> None:
    model: LanguageModel[Any] = tiny(architecture)
    naive = Naive(model.hf, model.down, before=True)
    targets = model.targets(*prompt)
    (found,) = attribute(model, prompt, Settings(nodes=NODES, tolerance=None))
    np.testing.assert_allclose(found.word_scores.sum(0), found.scores, atol=1e-7)
    for number, word in enumerate(targets[0].words):
        for layer in range(3):
            paths = [along_one_path(naive, target, word, layer) for target in targets]
            expected = torch.stack(paths).mean(0).numpy()
            size = np.abs(expected).max()
            np.testing.assert_allclose(
                found.word_scores[number, layer], expected, atol=1e-4 * size + 1e-9
            )


def test_contributions_are_those_of_the_words_of_the_text() -> None:
    (found,) = attribute(tiny("bert"), FRANCE)
    words, contributions = zip(*found.by_word(), strict=True)
    assert words == ("The", "capital", "of", "France", "is", ".")
    assert sum(contributions) == pytest.approx(found.scores.sum(), rel=1e-4)
    (found,) = attribute(tiny("gpt2"), ("法国的首都是 [MASK]", "巴黎"))
    assert len(found.words) == len(found.word_scores)


def test_scores_of_a_layer_that_add_up_to_one_do_so_over_words() -> None:
    (found,) = attribute(tiny("bert"), FRANCE, "amig-paper")
    np.testing.assert_allclose(found.word_scores.sum(0), found.scores, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.word_scores.sum((0, 2)), 1, rtol=1e-3)


def test_a_batch_gives_each_prompt_its_own_words() -> None:
    model = tiny("gpt2")
    together = {found.index: found for found in attribute(model, PROMPTS)}
    for number, prompt in enumerate(PROMPTS):
        (alone,) = attribute(model, prompt)
        assert together[number].words == alone.words
        np.testing.assert_allclose(together[number].word_scores, alone.word_scores, atol=1e-6)


def test_words_are_left_out_where_there_are_none_or_nobody_wants_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tiny("bert")
    (plain,) = attribute(model, FRANCE)
    (without,) = attribute(model, FRANCE, words=False)
    np.testing.assert_array_equal(without.scores, plain.scores)
    (mean,) = attribute(model, FRANCE, PRESETS["amig"].changed(baseline="mean"))
    for found in (without, mean):
        assert (found.words, found.by_word()) == ((), [])
        found.show()
        assert "with a preset such as amig" in capsys.readouterr().out


def test_shown_are_the_words_and_the_planted_neuron(capsys: pytest.CaptureFixture[str]) -> None:
    model = quiet_model("bert")
    (own,), (other,) = (model.targets(*prompt)[:1] for prompt in (FRANCE, GERMAN))
    plant(model, 1, 17, own, [other])
    (found,) = attribute(model, FRANCE)
    found.show()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert next(line for line in lines if line[:1] == ["1"])[-6] == "1:17"
    strongest = max(found.by_word(), key=lambda pair: pair[1])
    assert next(line for line in lines if line[:1] == [strongest[0]])[2] == "█" * 16
    html = found._repr_html_()
    assert "1:17" in html
    assert "100%,#0000 100%" in html


@pytest.mark.parametrize(("width", "longest"), [(200, 16), (50, 9), (43, 0)])
def test_in_a_narrow_terminal_bars_are_shorter_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, longest: int
) -> None:
    numbers = Column("score", ["1.0000", "0.5000"], True, [1.0, -0.5])
    columns = [Column("strongest neurons", ["1:17 0.1234  2:18 0.0123"] * 2), numbers]
    monkeypatch.setenv("COLUMNS", str(width))
    print_tables([("", "", [*columns, Column("layer", ["0", "1"])])])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["strongest", "neurons", "score", "layer"]
    assert first.count("█") == longest
    assert second.replace("▌", "█").count("█") == (longest + 1) // 2
    assert first.split()[:4] == ["1:17", "0.1234", "2:18", "0.0123"]
    assert "…" not in head + first + second


def test_what_is_shown_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = attribute(tiny("gpt2"), ("<b>\x1b[2J is [MASK]", "Paris"))
    found.show()
    assert "\x1b[2J" not in capsys.readouterr().out
    assert "<b>\x1b" not in found._repr_html_()
    (skipped,) = attribute(tiny("gpt2"), ("[MASK] <is>", "Paris"))
    skipped.show()
    assert "No scores: the object is not last." in capsys.readouterr().out
    assert "&lt;is&gt;" in skipped._repr_html_()
    assert "the object is not last" in repr(skipped)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("The capital of France is", "Paris"), "no places for the answer; write"),
        (("[MASK] is [MASK]", "Paris"), "has 2 places"),
        ([("a [MASK]", "b"), ("a", "b")], "'a' has no places"),
        ("The capital of France is [MASK].", "is not a prompt; give"),
        (("a [MASK]", "b", "c"), "is not a prompt"),
        ([5], "5 is not a prompt"),
        (5, "5 is not a prompt"),
    ],
)
def test_what_is_no_prompt_is_refused_at_once(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        attribute(tiny("bert"), given)
