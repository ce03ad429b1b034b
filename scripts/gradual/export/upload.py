"""The upload of an export to the Hugging Face hub, as a dataset and a model repository of one name."""

import os
from pathlib import Path

from gradual.export.folder import MODELS, is_export
from gradual.ground.errors import InputError
from gradual.models.fetching import TOKENS, page_of


def upload(folder: Path, repo: str) -> list[str]:
    """Upload an export to the repositories `repo` ("owner/name"), which are made, private, if they are not there.

    Returns the addresses of their pages. The token is that of the environment. It is never printed. Raises InputError
    where there is none, where the folder is not an export, or where the hub refuses.
    """
    import httpx2
    from huggingface_hub import HfApi, errors

    if not is_export(folder):
        raise InputError(folder, "is not an export", "a folder as `make export` writes it")
    token = next((found for name in TOKENS if (found := os.environ.get(name))), None)
    if not token:
        raise InputError(TOKENS[0], "is not in the environment", "a token of the hub that may write")
    api, models, pages = HfApi(token=token), folder / MODELS, []
    parts = [("dataset", folder, [f"{MODELS}/**"]), *([("model", models, [])] if models.is_dir() else [])]
    try:
        for kind, source, left_out in parts:
            api.create_repo(repo, repo_type=kind, private=True, exist_ok=True)
            said = f"Export of the study in {folder.name}" if kind == "dataset" else "Base models and adapters"
            api.upload_folder(
                repo_id=repo, repo_type=kind, folder_path=source, ignore_patterns=left_out, commit_message=said
            )
            pages.append(page_of(f"datasets/{repo}" if kind == "dataset" else repo))
    except (
        errors.HfHubHTTPError, errors.HFValidationError, errors.OfflineModeIsEnabled, httpx2.TransportError
    ) as error:  # fmt: skip
        cause = " ".join(str(error).split())
        expected = "a repository owner/name where the token may write, and a connection to the hub"
        raise InputError(repo, f"the hub did not take it ({cause})", expected, key="--upload-to") from error
    return pages
