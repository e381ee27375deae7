"""Where a model's files are: the embedded models, a folder, a GGUF file, or the hub.

Imports neither torch nor transformers, so that a wrong name is refused at once.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from kndb.errors import ModelError, one_line

GGUF = ".gguf"
"""How the name of a GGUF file ends."""

_EMBEDDED = Path(__file__).parent / "embedded"
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.tiktoken"]

EMBEDDED_MODELS = tuple(sorted(folder.name for folder in _EMBEDDED.glob("demo-*")))
"""Names of the models that come with kndb."""


def embedded_folder(name: str) -> Path:
    """The folder of the embedded model of this name."""
    return _EMBEDDED / name


def embedded_model(family: Literal["masked", "causal"]) -> Path:
    """The folder of the demo model ``demo-masked`` or ``demo-causal``."""
    return embedded_folder(f"demo-{family}")


def local_files(model: str | Path) -> Path | None:
    """The folder or GGUF file on this machine; None for a name that may be on the hub.

    A demo model's name always means that model, even if there is a folder of the same name.

    Raises:
        ModelError: it can only be a path or a demo model, and there is none.
    """
    path = embedded_folder(str(model)) if str(model) in EMBEDDED_MODELS else Path(model)
    try:
        path.exists()
    except OSError as error:  # such as a name that is too long for a file
        raise ModelError(f"There is no model {str(model)!r:.80}: {error.strerror}.") from error
    if path.is_dir() or (path.suffix == GGUF and path.is_file()):
        return path
    if path.suffix == GGUF:
        raise ModelError(f"There is no GGUF file {model}; give the path of one.")
    if path.exists():
        raise ModelError(
            f"{model} is a file, but not a GGUF file; give the model's folder, or a hub identifier."
        )
    if path.is_absolute() or str(model).startswith((".", "~")):
        raise ModelError(f"There is no model folder {model}; give a folder or a hub identifier.")
    if meant := get_close_matches(str(model), EMBEDDED_MODELS, 1, 0.8):
        raise ModelError(f"There is no model {model}; did you mean {meant[0]}?")
    return None


def locate(model: str | Path, revision: str | None = None) -> tuple[Path, str, str]:
    """The local folder or GGUF file, the name, and the commit (empty if ``model`` is a path).

    Raises:
        ModelError: it is not a folder or GGUF file and cannot be downloaded from the hub.
    """
    if (found := local_files(model)) is not None:
        return found, (found.resolve().name if found.is_dir() else found.name), ""
    # Here, because only a name of the hub needs its client, whose import takes half a second.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        found = Path(snapshot_download(str(model), revision=revision, allow_patterns=_FILES))
    except LocalEntryNotFoundError as e:
        raise ModelError(
            f"There is no folder {model}, and the hub cannot be reached for a model of that name; "
            "give a folder, or connect to the network."
        ) from e
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as e:
        raise ModelError(
            f"There is no folder {model}, and no such model could be downloaded from the hub: "
            f"{one_line(e)}"
        ) from e
    return found, str(model), found.name
