"""Base models that others made, from a folder or from the Hugging Face hub."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradual.ground.errors import InputError
from gradual.models.folder import OTHERS, PATTERNS
from gradual.models.handle import write_handle

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # environment variables with a token of the hub


def fetch_base(model: dict[str, Any], handle: Path) -> None:
    """Write the handle of a base model with source folder or hub. A model of the hub is downloaded at its pinned revision.

    Raises InputError where the folder is missing, its files cannot be used, or the hub does not give the model.
    """
    if model["source"] == "folder":
        folder = folder_named(model)
        if not folder.is_dir():
            raise InputError(folder, "there is no such folder", "a local model folder (models.<name>.path)", key="path")
        write_handle(handle, folder, f"folder {model['path']}")
    else:
        write_handle(handle, _download(model["repo"], model["revision"]), f"hub {model['repo']}@{model['revision']}")


def folder_named(model: Mapping[str, Any]) -> Path:
    """The folder of a model with source folder."""
    return Path(model["path"]).expanduser()


def token_here() -> bool:
    """Whether there is a token of the hub. It is not read."""
    from huggingface_hub import constants

    return any(os.environ.get(name) for name in TOKENS) or Path(constants.HF_TOKEN_PATH).is_file()


def page_of(repo: str) -> str:
    """The page of a model on the hub, where its licence can be accepted."""
    return f"https://huggingface.co/{repo}"


def _download(repo: str, revision: str) -> Path:
    """The folder in the hub's cache with a model's files. The hub's token is that of the environment; it is never logged.

    Raises InputError where the hub does not have the model, does not give it, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=[*PATTERNS], ignore_patterns=[*OTHERS]))
    except (
        errors.HfHubHTTPError,
        errors.LocalEntryNotFoundError,
        errors.HFValidationError,
        httpx2.TransportError,
    ) as error:
        raise InputError(repo, *_refusal(error, repo, revision), key="repo") from error


def _refusal(error: Exception, repo: str, revision: str) -> tuple[str, str]:
    """What is wrong where the hub gives no model, and what is expected."""
    import httpx2
    from huggingface_hub import constants, errors

    page, cause = page_of(repo), " ".join(str(error).split())
    token = "a token (HF_TOKEN, or hf auth login)"
    match error:
        case errors.GatedRepoError():
            problem = "its licence is not accepted by the account of the token" if token_here() else "there is no token"
            return f"is a gated model, and {problem}", f"the licence accepted on {page}, and {token} of that account"
        case errors.RevisionNotFoundError():
            return f"has no revision {revision}", f"a commit of {page}/commits (models.<name>.revision)"
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return "is no model of the hub", f"a name that {page} shows; a private model needs {token}"
        case errors.LocalEntryNotFoundError() | httpx2.TransportError():
            problem = f"the hub cannot be reached, and {constants.HF_HUB_CACHE} does not have the whole model ({cause})"
            return problem, f"a connection to {page} (without HF_HUB_OFFLINE), or the model in that cache (HF_HOME)"
        case _:
            return f"the hub does not give it ({cause})", f"a model that {page} gives; run again if the hub is at fault"
