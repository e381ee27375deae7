"""Every architecture, by its own adapter and the general one, against whole runs of the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.mpt.configuration_mpt import MptAttentionConfig

from attribution.naive import Naive
from kndb.attribution import PRESETS, Settings, attribute
from kndb.attribution.suppression import Suppressor
from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel, load_model
from kndb.models.architectures import ARCHITECTURES, Structure, Unlisted
from kndb.models.asking import Asker
from kndb.models.checkpoint import structure
from kndb.models.general import General
from kndb.models.projections import find_down
from kndb.neurons import Neuron
from tiny import DAILY, PROMPTS, UNLISTED, hf_model, tiny, tokenizer_of, variant

SETS = [
    (Neuron(0, 3),),
    (Neuron(0, 3), Neuron(1, 21)),
    (Neuron(1, 0), Neuron(1, 21), Neuron(2, 47)),
]
PROMPT = PROMPTS[2]  # its answer has several tokens


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_row_of_the_table(architecture: str) -> None:
    model = tiny(architecture)
    assert model.adapter in ("masked", "causal")
    check(model, expected(model))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_neurons_before_the_activation(architecture: str) -> None:
    model = tiny(architecture)
    (target, *_) = model.targets(*PROMPT)
    tokens, at = torch.tensor([target.tokens]), torch.tensor([target.position])
    if ARCHITECTURES[architecture].up is None:
        with pytest.raises(UsageError, match="whose gated block has none"):
            model.observe(tokens, at, 1, pre=True)
        return
    _, before = model.observe(tokens, at, 1, pre=True)
    _, after = model.observe(tokens, at, 1)
    for layer, own in enumerate(before):
        close(model.activation(layer, own), after[layer])


_FALCON_RW = {"alibi": True, "multi_query": False, "parallel_attn": False}
_FALCON_40B = {"new_decoder_architecture": True, "num_kv_heads": 2}


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("bloom", {"apply_residual_connection_post_layernorm": True}),
        ("falcon", _FALCON_RW),
        ("falcon", _FALCON_40B),
        ("falcon", {**_FALCON_40B, "num_ln_in_parallel_attn": 1}),
        ("mpt", {"n_heads": 8, "attn_config": MptAttentionConfig(clip_qkv=0.5)}),
        ("deberta-v2", {"share_att_key": True, "norm_rel_ebd": "layer_norm"}),
        ("modernbert", {"layer_types": ["full_attention"] * 3}),
    ],
)
def test_a_variant_of_a_row(architecture: str, changes: dict[str, Any]) -> None:
    model = variant(architecture, **changes)
    assert model.adapter in ("masked", "causal")
    check(model, expected(model))


@pytest.mark.parametrize(
    ("architecture", "wide"),
    [("gpt_neo", {"window_size": 40}), ("modernbert", {"local_attention": 40})],
)
def test_the_prompt_is_longer_than_the_local_window(
    architecture: str, wide: dict[str, Any]
) -> None:
    (local,) = Asker(tiny(architecture)).ask([PROMPT])
    (everywhere,) = Asker(variant(architecture, **wide)).ask([PROMPT])
    assert not isinstance(local, str)
    assert not isinstance(everywhere, str)
    assert local.p_tokens[0] != pytest.approx(everywhere.p_tokens[0], rel=0.01)


@pytest.mark.parametrize(
    "architecture",
    [pytest.param(a, marks=[] if a in DAILY else [pytest.mark.long]) for a in ARCHITECTURES],
)
def test_the_general_adapter_equals_the_special_one(architecture: str) -> None:
    special = tiny(architecture)
    down = find_down(special.hf, architecture)
    assert down == special.down
    general = General(special.hf, special.tokenizer, special.info, down)
    assert general.targets(*PROMPT) == special.targets(*PROMPT)
    check(general, expected(special))


@pytest.mark.parametrize("architecture", UNLISTED)
def test_an_architecture_without_a_row(architecture: str) -> None:
    model = tiny(architecture)
    assert model.adapter == "general"
    check(model, expected(model))


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("opt", {"do_layer_norm_before": False}),
        ("deberta-v2", {"conv_kernel_size": 3}),
        ("deberta-v2", {"legacy": False}),
    ],
)
def test_another_structure_than_the_rows_is_left_to_the_general_adapter(
    architecture: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    hf_model(architecture, **changes).save_pretrained(tmp_path)
    tokenizer_of(architecture).save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert model.adapter == "general"
    (found,) = attribute(model, [PROMPT], PRESETS["ig-zero"].changed(nodes=2))
    naive = Naive(model.hf, model.down, before=True)
    due = torch.stack([naive.ig_zero(target, steps=2) for target in model.targets(*PROMPT)])
    close(torch.from_numpy(found.scores), due.mean(0))


def test_a_neuron_of_shared_layers_is_known_by_its_layer() -> None:
    model = tiny("albert")
    assert len(set(model.down)) == 3
    assert len({id(down.weight) for down in model.down}) == 1


_DEBERTA = {"model_type": "deberta-v2", "relative_attention": True}


@pytest.mark.parametrize(
    ("config", "due"),
    [
        ({"model_type": "arcee"}, Unlisted("causal")),
        (
            {"model_type": "big_bird", "architectures": ["BigBirdForPreTraining"]},
            Unlisted("masked"),
        ),
        ({"model_type": "rembert", "architectures": ["RemBertForCausalLM"]}, Unlisted("causal")),
        ({"model_type": "xlm", "architectures": ["XLMWithLMHeadModel"]}, Unlisted("masked")),
        ({"model_type": "xlm", "causal": True}, Unlisted("causal")),
        ({"model_type": "mbart"}, Unlisted("seq2seq")),
        ({"model_type": "opt", "do_layer_norm_before": True}, ARCHITECTURES["opt"]),
        ({"model_type": "opt"}, ARCHITECTURES["opt"]),
        ({"model_type": "bloom", "slow_but_exact": True}, Unlisted("causal")),
        ({**_DEBERTA, "conv_kernel_size": 3}, Unlisted("masked")),
        ({**_DEBERTA, "legacy": False}, Unlisted("masked")),
        (_DEBERTA, ARCHITECTURES["deberta-v2"]),
    ],
)
def test_the_kind_of_a_model(config: dict[str, Any], due: Structure) -> None:
    assert structure(config, "m") == due


@pytest.mark.parametrize("architecture", ["arcee", "mpnet"])
def test_loading_a_folder_without_a_row(architecture: str, tmp_path: Path) -> None:
    saved = hf_model(architecture)
    saved.save_pretrained(tmp_path)
    tokenizer_of(architecture).save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert (model.adapter, model.info.n_layers) == ("general", 3)
    assert model.info.n_neurons == 48
    with pytest.raises(UsageError, match="general adapter, which has none"):
        list(attribute(model, [PROMPT], Settings(hook="pre")))


def test_fewer_layers_declared_than_stored(tmp_path: Path) -> None:
    hf_model("arcee").save_pretrained(tmp_path)
    tokenizer_of("arcee").save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_hidden_layers": 2}))
    with pytest.raises(ModelError, match=r"more layers than its config\.json declares"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("mixtral", "mixtures of experts"),
        ("cpmant", "does not run each of its feed-forward blocks once on each token"),
        ("mamba", "finds 0 candidates for the output projections"),
        ("vit", "is no language model"),
        ("xlnet", "is no language model"),
        ("unheard-of", "Transformers 5[0-9.]* does not know"),
    ],
)
def test_what_the_general_adapter_refuses(architecture: str, message: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 330, "state_size": 4}
    sizes |= {"num_attention_heads": 4, "intermediate_size": 48, "num_key_value_heads": 2}
    sizes |= {"dim_head": 8, "dim_ff": 48}
    if architecture in ("mixtral", "mamba", "cpmant"):
        config = AutoConfig.for_model(architecture, **sizes)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    else:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": architecture}))
    tokenizer_of("llama").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Expected:
    """What an independent implementation finds for the prompt, and for its first token."""

    scores: Tensor
    p: float
    gradients: list[Tensor]
    silenced: Tensor


@cache
def expected(model: LanguageModel[Any]) -> Expected:
    naive = Naive(model.hf, model.down, before=True)
    targets = model.targets(*PROMPT)
    target = targets[0]
    own = [naive.read(target.tokens, layer, target.position)[None] for layer in range(3)]
    return Expected(
        torch.stack([naive.ig_zero(target, steps=2) for target in targets]).mean(0),
        float(naive.probability(target, 0, own[0][0])),
        [naive.gradients(target, layer, neurons) for layer, neurons in enumerate(own)],
        torch.stack([silent(model, neurons) for neurons in SETS]),
    )


def silent(model: LanguageModel[Any], neurons: tuple[Neuron, ...]) -> Tensor:
    """The answer's probability in a whole run with neurons set to 0."""
    (target, *_) = model.targets(*PROMPT)

    def hook(index: int) -> Any:
        def put(module: Any, inputs: Any) -> Any:
            value = inputs[0].clone()
            value.flatten(0, -2)[target.position, index] = 0
            return (value,)

        return put

    handles = [
        model.down[neuron.layer].register_forward_pre_hook(hook(neuron.index)) for neuron in neurons
    ]
    try:
        with torch.no_grad():
            logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    finally:
        for handle in handles:
            handle.remove()
    p: Tensor = logits[0, target.position].float().softmax(-1)[target.answer]
    return p


def check(model: LanguageModel[Any], due: Expected) -> None:
    """Answers, scores, scaled sets and gradients are those expected."""
    (found,) = attribute(model, [PROMPT], PRESETS["ig-zero"].changed(nodes=2))
    close(torch.from_numpy(found.scores), due.scores)
    assert found.p_tokens[0] == pytest.approx(due.p, rel=1e-4)
    for shared_prefix in (False, True):
        (answer,) = Asker(model, shared_prefix=shared_prefix).ask([PROMPT])
        assert not isinstance(answer, str)
        assert answer.p_tokens == pytest.approx(found.p_tokens, rel=1e-4)
    (target, *_) = model.targets(*PROMPT)
    tokens, at = torch.tensor([target.tokens]), torch.tensor([target.position])
    beside = torch.cat([tokens, tokens.flip(1)])  # as a baseline sentence would be
    observed, neurons = model.observe(beside, at.repeat(2), 1)
    outputs = [model.project(i, own[:1]).requires_grad_() for i, own in enumerate(neurons)]
    first, answers = torch.tensor([0]), torch.tensor([target.answer])
    p = model.observed_probabilities(observed, first, outputs, answers)
    assert float(p.detach()) == pytest.approx(due.p, rel=1e-4)
    for layer, slope in enumerate(torch.autograd.grad(p.sum(), outputs)):
        close(model.back_project(layer, slope), due.gradients[layer])
    suppressed = Suppressor(model, [target]).probabilities(SETS)[0]
    torch.testing.assert_close(suppressed, due.silenced, rtol=1e-4, atol=1e-9)
    assert float((due.silenced / due.p - 1).abs().max()) > 1e-3  # the neurons matter


def close(found: Tensor, due: Tensor) -> None:
    assert float((found - due).norm()) < 1e-4 * float(due.norm())
