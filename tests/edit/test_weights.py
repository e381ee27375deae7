"""Edits of weights do what they promise, and are undone bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kndb.edit.changes import WeightChanges
from kndb.edit.deltas import Delta, erase, update
from kndb.edit.directions import direction
from kndb.edit.editor import Editor, edited
from kndb.edit.plan import EditSettings, Plan
from kndb.edit.selection import Part
from kndb.edit.weight_rows import read_rows
from kndb.errors import KndbError, ModelError, UsageError
from kndb.models import LanguageModel, load_model
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Asker
from kndb.models.loading import adapt
from kndb.neurons import Neuron
from kndb.store.edit_source import StoredFact
from saved_models import save
from tiny import hf_model, tokenizer_of

NEURONS = [Neuron(0, 3), Neuron(2, 47)]
OTHERS = [Neuron(1, 3), Neuron(2, 46)]


def fresh(architecture: str, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    hf = hf_model(architecture, **changes).to(dtype)
    names = ARCHITECTURES[architecture]
    return adapt(hf, tokenizer_of(architecture), names, architecture, weights_sha256="ab" * 32)


def bits(model: LanguageModel[Any]) -> dict[str, Tensor]:
    """Every weight as bytes, so that 0.0 and -0.0 differ."""
    return {
        name: value.detach().clone().contiguous().view(-1).view(torch.uint8)
        for name, value in model.hf.state_dict().items()
    }


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def both(model: LanguageModel[Any]) -> list[Delta]:
    push = direction(model, [((5,), (6, 7))])
    return [erase(model, NEURONS), update(model, OTHERS, 3 * push)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama"])
def test_undo_is_bit_for_bit(architecture: str, tied: bool, dtype: torch.dtype) -> None:
    model = fresh(architecture, dtype, tie_word_embeddings=tied)
    embedding = model.hf.get_input_embeddings().weight
    assert (embedding is model.unembedding.weight) == tied
    with torch.no_grad():
        model.down[0].weight[0, 0] = -0.0
    before = bits(model)
    editor = Editor(model)
    applied = [editor.apply(delta) for delta in both(model)]
    assert not same(bits(model), before)
    for one in applied:
        editor.undo(one)
    assert same(bits(model), before)


def test_weights_that_changed_in_their_folder_are_refused(tmp_path: Path) -> None:
    model = load_model(save(hf_model("bert"), tmp_path / "m"))
    changes = WeightChanges(model, Asker(model), tmp_path / "m")
    settings = EditSettings("erase")
    fact = StoredFact(1, "P36:Q1", "P36", "Q2")
    plan = Plan(fact, "en", ("en",), None, (Part(tuple(NEURONS), ("en",)),), (), (), None)
    assert changes.delta(plan, settings) is not None
    save(hf_model("bert", seed=1), tmp_path / "m")
    with pytest.raises(ModelError, match="have changed since they were loaded; run the same"):
        changes.delta(plan, settings)


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama", "gpt_neox", "distilbert"])
def test_an_erased_neuron_writes_nothing(architecture: str) -> None:
    model = fresh(architecture)
    fired = torch.zeros(1, 1, model.info.n_neurons)
    fired[..., 3] = 1.0
    quiet = model.project(0, torch.zeros_like(fired))
    assert not torch.equal(model.project(0, fired), quiet)
    Editor(model).apply(erase(model, NEURONS))
    assert torch.equal(model.project(0, fired), quiet)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_an_update_adds_the_difference_of_output_embeddings(architecture: str) -> None:
    model = fresh(architecture)
    e = model.unembedding.weight
    old = read_rows(model, NEURONS)
    Editor(model).apply(update(model, NEURONS, 2.0 * direction(model, [((5,), (6, 7))])))
    expected = old + 2.0 * ((e[6] + e[7]) / 2 - e[5])
    torch.testing.assert_close(read_rows(model, NEURONS), expected)


def test_inflected_answers_are_averaged_and_none_counts_twice() -> None:
    model = fresh("bert")
    a, b = ((5,), (6,)), ((7,), (8, 9))
    total = direction(model, [a, b, a])
    torch.testing.assert_close(total, (direction(model, [a]) + direction(model, [b])) / 2)
    assert not direction(model, []).any()


def test_only_the_rows_of_its_neurons_change() -> None:
    model = fresh("bert")
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    Editor(model).apply(erase(model, NEURONS))
    changed = {n for n, value in model.hf.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {f"bert.encoder.layer.{layer}.output.dense.weight" for layer in (0, 2)}
    name = "bert.encoder.layer.0.output.dense.weight"
    columns = (model.hf.state_dict()[name] != before[name]).any(0).nonzero()[:, 0].tolist()
    assert columns == [3]


def test_edits_on_other_neurons_undo_in_any_order() -> None:
    model = fresh("gpt2")
    before = bits(model)
    editor = Editor(model)
    first, second = (editor.apply(delta) for delta in both(model))
    editor.undo(first)
    editor.undo(second)
    assert same(bits(model), before)


def test_an_edit_below_another_of_the_same_neuron_is_not_undone_first() -> None:
    model = fresh("gpt2")
    before = bits(model)
    editor = Editor(model)
    first = editor.apply(erase(model, NEURONS))
    second = editor.apply(update(model, NEURONS[1:], torch.ones(model.width)))
    with pytest.raises(UsageError, match="later edit has changed neuron 2:47 too"):
        editor.undo(first)
    editor.undo(second)
    editor.undo(first)
    assert same(bits(model), before)
    with pytest.raises(UsageError, match="not in the model"):
        editor.undo(first)


def test_a_second_edit_made_before_the_first_was_applied_is_refused() -> None:
    model = fresh("bert")
    editor = Editor(model)
    one, other = erase(model, NEURONS), update(model, NEURONS, torch.ones(model.width))
    editor.apply(one)
    with pytest.raises(UsageError, match="neuron 0:3 are not as the edit knows them"):
        editor.apply(other)


def test_a_block_undoes_its_edit_also_when_it_raises() -> None:
    model = fresh("bert")
    before = bits(model)

    def fail() -> None:
        assert not same(bits(model), before)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Editor(model).applied(erase(model, NEURONS)):
        fail()
    assert same(bits(model), before)


def test_other_weights_are_refused() -> None:
    model = fresh("bert")
    delta = erase(model, NEURONS)
    foreign = Delta("cd" * 32, delta.neurons, delta.before, delta.after)
    with pytest.raises(ModelError, match="made against weights cdcdcdcdcdcd"):
        Editor(model).apply(foreign)


@pytest.mark.parametrize("neurons", [[Neuron(3, 0)], [Neuron(0, 48)], [Neuron(0, 1)] * 2])
def test_neurons_that_are_not_there_are_refused(neurons: list[Neuron]) -> None:
    with pytest.raises(UsageError):
        erase(fresh("bert"), neurons)


def test_a_number_format_too_small_for_the_sum_is_refused() -> None:
    model = fresh("bert", torch.float16)
    with pytest.raises(UsageError, match="do not fit into float16"):
        update(model, NEURONS, torch.full((model.width,), 1e6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_delta_survives_its_file(dtype: torch.dtype) -> None:
    delta = both(fresh("gpt2", dtype))[1]
    read = Delta.from_bytes(delta.to_bytes())
    assert (read.weights_sha256, read.neurons) == (delta.weights_sha256, delta.neurons)
    assert read.after.dtype == dtype
    assert torch.equal(read.before, delta.before)
    assert torch.equal(read.after, delta.after)


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", bytes(64)])
def test_a_damaged_delta_is_told(data: bytes) -> None:
    with pytest.raises(KndbError, match="damaged"):
        Delta.from_bytes(data)


def test_edited_holds_for_a_block_and_leaves_no_bit_behind() -> None:
    model = fresh("llama")
    before = bits(model)
    first, second = both(model)
    with edited(model, first, second):
        assert torch.equal(read_rows(model, first.neurons), first.after)
        assert torch.equal(read_rows(model, second.neurons), second.after)
    assert same(bits(model), before)
    with pytest.raises(ZeroDivisionError), edited(model, first, second):
        _ = 1 / 0
    assert same(bits(model), before)
    with pytest.raises(UsageError), edited(model, first, first):
        pass
    assert same(bits(model), before)
