"""Products by oneDNN are those of torch, and take part where they should alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kndb.attribution import attribute
from kndb.models import products
from tiny import PROMPTS, variant

has_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """oneDNN takes every product that it can; the shapes that it multiplied."""
    seen: list[tuple[int, ...]] = []
    forward = products._ByOneDNN.forward

    def told(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(tuple(x.shape))
        return forward(ctx, x, weight, bias)

    monkeypatch.setattr(products._ByOneDNN, "forward", told)
    monkeypatch.setattr(products, "ONEDNN", products.ONEDNN | {torch.float32})
    monkeypatch.setattr(products, "ENOUGH", 1)
    return seen


@has_onednn
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7), (1, 7), (16, 7), (17, 7)])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_product_and_gradient(
    always: list[tuple[int, ...]], shape: tuple[int, ...], strided: bool, with_bias: bool
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weight = torch.randn(7, 9).t() if strided else torch.randn(9, 7)
    bias = torch.randn(9) if with_bias else None
    out = products.linear(x, weight, bias)
    wanted = torch.randn(out.shape)
    (slope,) = torch.autograd.grad((out * wanted).sum(), x)
    exact = x.detach().double().requires_grad_()
    due = F.linear(exact, weight.double(), None if bias is None else bias.double())
    (due_slope,) = torch.autograd.grad((due * wanted).sum(), exact)
    torch.testing.assert_close(out.double(), due, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slope.double(), due_slope, rtol=1e-5, atol=1e-5)
    assert always == [shape, (*shape[:-1], 9)]  # the gradient's product, too


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_have_few_shapes(
    dtype: torch.dtype, always: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype not in products.ONEDNN:
        pytest.skip(f"oneDNN does not multiply {dtype} here")
    multiplied, multiply = set(), torch.ops.mkldnn._linear_pointwise

    def told(rows: Tensor, *rest: Any) -> Tensor:
        multiplied.add(len(rows))
        product: Tensor = multiply(rows, *rest)
        return product

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", told)
    torch.manual_seed(0)
    weight = torch.randn(9, 7).to(dtype)
    for rows in (1, 17, 130):
        x = torch.randn(rows, 7).to(dtype).requires_grad_()
        out = products.linear(x, weight)
        (slope,) = torch.autograd.grad(out.sum(), x)
        assert out.dtype == slope.dtype == dtype
        due = x.detach().double() @ weight.double().t()
        torch.testing.assert_close(out.double(), due, rtol=0.02, atol=0.02)
        due = weight.double().sum(0).expand(rows, 7)
        torch.testing.assert_close(slope.double(), due, rtol=0.02, atol=0.02)
    assert {shape[0] for shape in always} == {1, 17, 130}
    assert multiplied == {16, 32, 144}


def test_another_device_multiplies_rows_as_they_are() -> None:
    assert products.padded(torch.empty(17, 1, dtype=torch.bfloat16, device="meta")) == 17


@has_onednn
@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama", "bloom"])
def test_scores_are_the_same(
    architecture: str, always: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN", set())
    (due,) = attribute(variant(architecture), PROMPTS[0])
    assert not always
    monkeypatch.setattr(products, "ONEDNN", {torch.float32})
    (found,) = attribute(variant(architecture), PROMPTS[0])
    inputs = {shape[-1] for shape in always}
    assert {32, 48 if architecture != "bloom" else 128} <= inputs  # layers, and down projections
    np.testing.assert_allclose(found.scores, due.scores, atol=1e-4 * float(due.scores.max()))


def test_what_it_does_not_take(always: list[tuple[int, ...]]) -> None:
    x, weight = torch.randn(4, 6), torch.randn(5, 6)
    trained = weight.clone().requires_grad_()
    (slope,) = torch.autograd.grad(products.linear(x, trained).sum(), trained)
    torch.testing.assert_close(slope, x.sum(0).expand(5, 6))
    for dtype in {torch.float64, torch.bfloat16, torch.float16} - products.ONEDNN:
        assert products.linear(x.to(dtype), weight.to(dtype)).dtype == dtype
    products.linear(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert products.linear(x, weight).dtype == torch.bfloat16
    assert not always


def test_small_products_are_torchs(
    always: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ENOUGH", 4 * 6 * 5)
    products.linear(torch.randn(3, 6), torch.randn(5, 6))
    assert not always


def test_only_plain_layers_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(nn.Linear):
        pass

    model = nn.ModuleList([nn.Linear(2, 3), Conv1D(3, 2), Other(2, 3), nn.LayerNorm(2)])
    kinds = [type(module) for module in model]
    monkeypatch.setattr(products, "ONEDNN", set())
    products.use_onednn(model)
    assert [type(module) for module in model] == kinds
    monkeypatch.setattr(products, "ONEDNN", {torch.float32})
    state = {name: value.clone() for name, value in model.state_dict().items()}
    products.use_onednn(model)
    assert [type(module) is kind for module, kind in zip(model, kinds, strict=True)] == [
        False,
        False,
        True,
        True,
    ]
    assert isinstance(model[0], nn.Linear)
    assert isinstance(model[1], Conv1D)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize(
    ("name", "units", "due"),
    [
        ("AMD EPYC", "AVX512", True),
        ("AMD EPYC", "AVX2", False),
        ("Intel(R) Xeon(R)", "AVX512", False),
        (None, "AVX512", False),  # an older torch does not say
    ],
)
def test_the_processors_that_it_is_for(
    name: str | None, units: str, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        known = {"cpu_name": name}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: units)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", object(), raising=False)
    for bits in ("bf16", "fp16"):
        monkeypatch.setattr(torch.ops.mkldnn, f"_is_mkldnn_{bits}_supported", lambda: False)
    assert products._onednn_types() == ({torch.float32} if due else set())
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert torch.bfloat16 in products._onednn_types()
