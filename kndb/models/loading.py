"""Loading a model from the hub, a folder or a GGUF file; no pickles, no code from a repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer
from transformers.activations import NewGELUActivation
from transformers.utils import logging

from kndb.errors import ModelError, UsageError, one_line
from kndb.files import stamps
from kndb.models.architectures import Decoder, Encoder, Structure, Unlisted
from kndb.models.base import LanguageModel, ModelInfo
from kndb.models.causal_lm import CausalLM
from kndb.models.checkpoint import check_loaded, check_window, read_checkpoint
from kndb.models.devices import SPREAD, check_names
from kndb.models.encoder_decoder import SENTINEL, EncoderDecoder, mask_of
from kndb.models.general import General
from kndb.models.gguf_file import load_gguf
from kndb.models.masked_lm import MaskedLM
from kndb.models.places import locate
from kndb.models.products import use_onednn
from kndb.models.projections import count_neurons, find_down
from kndb.models.spread import is_spread, load_spread


def load_model(
    model: str | Path,
    *,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
) -> LanguageModel[Any]:
    """Load a model for attribution.

    Args:
        model: a folder, a GGUF file, a hub identifier such as ``bert-base-multilingual-cased``,
            or ``demo-masked`` or ``demo-causal``.
        device: ``auto`` (CUDA, then MPS, then CPU), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; or
            ``spread``: over all GPUs, then the machine's memory, for a model that fits no single
            one. Such a model runs through the general adapter, and cannot be edited.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        revision: branch, tag or commit on the hub.

    Raises:
        ModelError: not found, not readable, of an unknown architecture, without safetensors, with
            weights that are missing, of another shape or not finite, or without a mask token
            (masked) or end token (causal), or changed while it was read.
        UsageError: an unknown device or dtype, a device this machine lacks, or a GGUF file that is
            to be spread.
    """
    check_names(device, dtype)
    where = None if device == SPREAD else pick_device(device)
    path, name, commit = locate(model, revision)
    if path.is_file() and where is None:
        raise UsageError(
            f"The GGUF file {name} cannot be spread over devices, as its weights are unpacked in "
            "memory; give a folder with the model, or another device."
        )
    before = _stamps(path)
    if path.is_file():
        hf, tokenizer, names = load_gguf(path, name, getattr(torch, dtype))
    else:
        hf, tokenizer, names = _load_folder(path, name, getattr(torch, dtype), where is None)
    hf = _in_memory(hf if where is None else hf.to(where))
    sha256 = weights_hash(path)
    if _stamps(path) != before:
        raise ModelError(
            f"The files of the model {name} changed while they were read; wait until they are "
            "complete, and run the same command again."
        )
    return adapt(hf, tokenizer, names, name, commit, sha256)


def _stamps(path: Path) -> dict[Path, tuple[int, int, int]]:
    return stamps([path] if path.is_file() else path.iterdir())


def _in_memory(hf: Any) -> Any:
    """The model, with its weights copied out of the files, which are mapped into memory at first.

    A file that somebody writes to would otherwise change the model, or crash it. Of a spread model,
    the weights on the disk stay there.
    """
    for tensor in (*hf.parameters(), *hf.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()
    return hf


def _load_folder(
    folder: Path, name: str, dtype: torch.dtype, spread: bool
) -> tuple[Any, Any, Structure]:
    """A model, its tokenizer, and where its modules are.

    A spread model runs through the general adapter, which runs it whole.
    """
    checkpoint = read_checkpoint(folder, name)
    kind = checkpoint.model_class
    load = partial(load_spread, kind) if spread else kind.from_pretrained
    try:
        with _without_bars():
            hf, report = load(
                folder,
                config=checkpoint.config,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # check_loaded reports them instead
            )
        check_loaded(report, hf, name)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # any exception: it depends on the folder's contents
        raise ModelError(f"The model {name} cannot be loaded: {one_line(error)}") from error
    return hf, tokenizer, Unlisted(checkpoint.names.kind) if is_spread(hf) else checkpoint.names


@contextmanager
def _without_bars() -> Iterator[None]:
    """Turn off Transformers' progress bars within a block: kndb shows its own."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def adapt(
    hf: Any,
    tokenizer: Any,
    names: Structure,
    name: str,
    revision: str = "",
    weights_sha256: str = "",
) -> LanguageModel[Any]:
    """Wrap a loaded Transformers model. Its weights are frozen and it is put in evaluation mode.

    Raises:
        ModelError: a weight is not a finite number, the tokenizer lacks the token that baselines
            are made of, there is no position for an answer, or the general adapter cannot run it.
    """
    _check_tokenizer(hf, tokenizer, names, name)
    hf.eval().requires_grad_(False)
    fuse_activations(hf)
    use_onednn(hf)
    for parameter, value in hf.named_parameters():
        # aminmax needs no copy of the weights. Those on the disk would have to be read once more:
        # there, prompts whose numbers are not finite tell.
        if (
            value.numel()
            and not value.is_meta
            and not torch.stack(value.aminmax()).isfinite().all()
        ):
            raise ModelError(f"The model {name} has weights that are not finite, in {parameter}.")
    if isinstance(names, Encoder) and names.shared:
        unshare(hf, names.layers)
    if isinstance(names, Unlisted):
        down = find_down(hf, name)
    else:
        check_window(hf.config, names, name)
        down = [attrgetter(names.down)(layer) for layer in attrgetter(names.layers)(hf)]
    info = ModelInfo(
        name=name,
        revision=revision,
        architecture=hf.config.model_type,
        family="masked_lm" if names.kind == "masked" else "causal_lm",
        n_layers=len(down),
        n_neurons=count_neurons(down[0]),
        weights_sha256=weights_sha256,
    )
    if isinstance(names, Encoder):
        return MaskedLM(hf, tokenizer, info, names)
    if isinstance(names, Decoder):
        return CausalLM(hf, tokenizer, info, names)
    general = (EncoderDecoder if names.kind == "seq2seq" else General)(hf, tokenizer, info, down)
    try:
        general.check_runs()
    except (RuntimeError, KeyError) as error:  # as a module takes another's weight past its hooks
        if not is_spread(hf):
            raise
        raise ModelError(
            f"The model {name} ({info.architecture}) does not run when it is spread over devices: "
            f"{one_line(error)}; choose a single device with --device."
        ) from error
    return general


def unshare(hf: Any, layers: str) -> None:
    """Give each layer of a model its own module, with the same weights.

    ALBERT runs one module again and again; a hook would be for all layers. A neuron is known by the
    layer at which it fires, and the weights of all of them are one.
    """
    groups, config = hf.get_submodule(layers), hf.config
    each = config.num_hidden_layers // len(groups)
    kept = {id(part): part for part in (config, *hf.parameters())}
    copies = [deepcopy(groups[i // each], dict(kept)) for i in range(config.num_hidden_layers)]
    parent, _, own = layers.rpartition(".")
    setattr(hf.get_submodule(parent), own, torch.nn.ModuleList(copies))
    config.num_hidden_groups = config.num_hidden_layers


def _check_tokenizer(hf: Any, tokenizer: Any, names: Structure, name: str) -> None:
    if names.kind == "masked":
        kind, wanted, token = "masked language model", "mask", tokenizer.mask_token_id
    elif names.kind == "seq2seq":
        kind, wanted = "encoder-decoder", f"mask token or {SENTINEL}"
        mask = mask_of(tokenizer)
        token = None if mask is None else tokenizer.convert_tokens_to_ids(mask)
    else:
        kind, wanted, token = "causal language model", "end-of-sequence", tokenizer.eos_token_id
    if token is None or token >= hf.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"The tokenizer of the model {name} has no {wanted} token in the model's vocabulary, "
            f"and baselines are made of it; give a {kind} with its own tokenizer."
        )


def fuse_activations(hf: torch.nn.Module) -> None:
    """Replace Transformers' five kernels for GPT-2's GELU by PyTorch's single one."""
    for module in hf.modules():
        for name, part in module.named_children():
            if isinstance(part, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def pick_device(device: str) -> torch.device:
    """The device of that name; ``auto`` picks the fastest available.

    Raises:
        UsageError: it is not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next((name for name, found in there.items() if found), "cpu"))
    number = int(device.partition(":")[2] or 0)
    lacks = device.startswith("cuda:") and number >= torch.cuda.device_count()
    if lacks or not there.get(device, True):
        raise UsageError(
            f"The device {device} was requested, but torch finds none on this machine."
        )
    return torch.device(device)


def weights_hash(folder: Path) -> str:
    """SHA-256 of all tensors in a folder, ordered by name, with their type and shape.

    Sharding and file headers do not matter, so a model saved again has the same hash. That of a
    GGUF file is the hash of the file.

    Raises:
        ModelError: a file is damaged.
    """
    if folder.is_file():
        with folder.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    where: dict[str, Path] = {}
    digest = hashlib.sha256()
    path = folder
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                where.update(dict.fromkeys(file.keys(), path))
        for name in sorted(where):
            path = where[name]
            with safe_open(path, framework="pt") as file:
                tensor = file.get_tensor(name).contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights file {path} cannot be read: {one_line(error)}") from error
    return digest.hexdigest()
