"""Base models that others made, from a folder, from the Hugging Face hub, or from a Python package.

A GGUF file is dequantised once, and the handle names the folder with what came of it (`models.converted`).
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from gradual.ground.errors import InputError
from gradual.ground.files import digest
from gradual.models.converted import convert, keep, place_of, read_card
from gradual.models.folder import OTHERS, PATTERNS, model_files
from gradual.models.gguf_tokenizer import BESIDE, tokenizer_files
from gradual.models.handle import write_handle
from gradual.models.package import fetch_file

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # environment variables with a token of the hub


def fetch_base(model: dict[str, Any], handle: Path) -> None:
    """Write the handle of a base model with source folder, hub or package. What is not here is downloaded, as it is pinned.

    Raises InputError where the folder is missing, the hub or pip does not give the model, or its files cannot be used.
    """
    source = source_of(model)
    if model["source"] == "package":
        place = place_of(model["sha256"], weights_dtype(model))
        keep(place, partial(_from_package, model))
        return write_handle(handle, place, source, read_card(place))
    if model["source"] == "folder":
        folder = folder_named(model)
        if not folder.is_dir():
            raise InputError(folder, "there is no such folder", "a local model folder (models.<name>.path)", key="path")
    else:
        folder = _download(model)
    if "gguf_file" not in model:
        return write_handle(handle, folder, source)
    file = folder / model["gguf_file"]
    if not file.is_file():
        held = ", ".join(sorted(str(each.relative_to(folder)) for each in folder.rglob("*.gguf"))) or "none"
        raise InputError(file, "there is no such file", f"one of its GGUF files: {held}", key="gguf_file")
    sha256, beside, dtype = digest(file), tokenizer_files(file), weights_dtype(model)
    place = place_of(sha256, dtype, beside)
    keep(place, partial(convert, file, sha256, beside, dtype))
    write_handle(handle, place, source, read_card(place))


def is_converted(model: Mapping[str, Any]) -> bool:
    """Whether a model of the config comes from a GGUF file."""
    return model["source"] == "package" or "gguf_file" in model


def weights_dtype(model: Mapping[str, Any]) -> str:
    """The type of the weights that a GGUF file is converted to. auto is float32, because it changes no value."""
    dtype: str = model["dtype"]
    return "float32" if dtype == "auto" else dtype


def source_of(model: Mapping[str, Any]) -> str:
    """Where a base model comes from, for its handle."""
    match model["source"]:
        case "package":
            return f"package {model['package']}=={model['version']}, {model['file']} with sha256 {model['sha256']}"
        case "hub":
            named = f"hub {model['repo']}@{model['revision']}"
        case _:
            named = f"folder {model['path']}"
    return f"{named}, {model['gguf_file']}" if "gguf_file" in model else named


def folder_named(model: Mapping[str, Any]) -> Path:
    """The folder of a model with source folder."""
    return Path(model["path"]).expanduser()


def local_files(model: Mapping[str, Any]) -> list[Path]:
    """The files of a model with source folder that it is made from. Empty for the other sources."""
    if model["source"] != "folder":
        return []
    if "gguf_file" not in model:
        return model_files(folder_named(model))
    file = folder_named(model) / model["gguf_file"]
    return [file, *tokenizer_files(file)]


def token_here() -> bool:
    """Whether there is a token of the hub. It is not read."""
    from huggingface_hub import constants

    return any(os.environ.get(name) for name in TOKENS) or Path(constants.HF_TOKEN_PATH).is_file()


def page_of(repo: str) -> str:
    """The page of a model on the hub, where its licence can be accepted."""
    return f"https://huggingface.co/{repo}"


def _from_package(model: Mapping[str, Any], folder: Path) -> None:
    """Download the GGUF file of a package, and write the model of it into an empty folder."""
    with TemporaryDirectory(dir=folder.parent, prefix=".package-") as scratch:
        package, version, named, sha256 = (model[key] for key in ("package", "version", "file", "sha256"))
        file = fetch_file(package, version, named, sha256, Path(scratch))
        convert(file, sha256, [], weights_dtype(model), folder)


def _download(model: Mapping[str, Any]) -> Path:
    """The folder in the hub's cache with a model's files. The hub's token is that of the environment; it is never logged.

    Raises InputError where the hub does not have the model, does not give it, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import errors, snapshot_download

    repo, revision, wanted = model["repo"], model["revision"], [*PATTERNS]
    if "gguf_file" in model:
        file = PurePosixPath(model["gguf_file"])
        wanted = [str(file), *(str(file.with_name(name)) for name in BESIDE)]
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=wanted, ignore_patterns=[*OTHERS]))
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
