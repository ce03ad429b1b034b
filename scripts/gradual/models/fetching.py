"""Base models that others made: from a folder, or from the hub."""

from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.models.handle import MODEL_FILES, write_handle


def fetch_base(model: dict[str, Any], handle: Path) -> None:
    """Write the handle of a base model with source folder or hub, downloading the latter at its pinned revision.

    The hub's token comes from its own environment variable (HF_TOKEN); it is never logged.
    """
    if model["source"] == "folder":
        folder = Path(model["path"]).expanduser()
        if not folder.is_dir():
            raise InputError(folder, "no such folder", "a local model folder (models.<name>.path)", key="path")
        write_handle(handle, folder, f"folder {model['path']}")
    else:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model["repo"], revision=model["revision"], allow_patterns=list(MODEL_FILES)))
        write_handle(handle, folder, f"hub {model['repo']}@{model['revision']}")
