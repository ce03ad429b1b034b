"""Base models that others made, from a folder or from the Hugging Face hub."""

from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.models.handle import MODEL_FILES, write_handle


def fetch_base(model: dict[str, Any], handle: Path) -> None:
    """Write the handle of a base model with source folder or hub. A model of the hub is downloaded at its pinned revision.

    The hub's token comes from the environment variable HF_TOKEN; it is never logged. Raises InputError where the folder
    is missing or its files cannot be used.
    """
    if model["source"] == "folder":
        folder = Path(model["path"]).expanduser()
        if not folder.is_dir():
            raise InputError(folder, "there is no such folder", "a local model folder (models.<name>.path)", key="path")
        write_handle(handle, folder, f"folder {model['path']}")
    else:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model["repo"], revision=model["revision"], allow_patterns=list(MODEL_FILES)))
        write_handle(handle, folder, f"hub {model['repo']}@{model['revision']}")
