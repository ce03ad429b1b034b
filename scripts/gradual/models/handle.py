"""The handle of a base model, `base.json`. It names the folder of the model's files and has their digests.

A job that needs a base model depends on this one small file, which changes when the model does. The folder is "." where
the files lie beside the handle, else its absolute path.
"""

from pathlib import Path

from gradual.ground.errors import InputError
from gradual.ground.files import digest, read_json, write_json

HANDLE = "base.json"
WEIGHTS = "*.safetensors"
MODEL_FILES = ("*.json", WEIGHTS, "*.txt", "*.model", "*.jinja")


def write_handle(handle: Path, folder: Path, source: str) -> None:
    """Check the base model's files in `folder`, and write their handle.

    Raises InputError where the files cannot be used (`check_model_folder`).
    """
    files = sorted({f for pattern in MODEL_FILES for f in folder.glob(pattern) if f.is_file() and f.name != HANDLE})
    check_model_folder(folder, [f.name for f in files])
    inside = folder.resolve() == handle.parent.resolve()
    write_json(
        {
            "source": source,
            "path": "." if inside else str(folder.resolve()),
            "sha256": {f.name: digest(f) for f in files},
        },
        handle,
    )


def check_model_folder(folder: Path, names: list[str]) -> None:
    """Raise InputError unless the named files of the folder are a config, a tokenizer and whole safetensors weights."""
    from safetensors import SafetensorError, safe_open

    for needed in ("config.json", "tokenizer.json"):
        if needed not in names:
            raise InputError(folder, f"has no {needed}", "a model folder as `save_pretrained` writes it")
    objects = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json")
    for name in sorted(set(objects) & set(names)):
        if not isinstance(read_json(folder / name, "a model's file"), dict):
            raise InputError(folder / name, "is not a JSON object", "a model's file as `save_pretrained` writes it")
    weights = [name for name in names if name.startswith("model") and name.endswith(".safetensors")]
    if not weights:
        raise InputError(folder, "has no safetensors weights", "model.safetensors (pickled weights are not loaded)")
    for name in weights:
        try:
            with safe_open(folder / name, framework="numpy") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            raise InputError(folder / name, f"cannot be read ({error})", "a whole safetensors file") from error


def model_folder(handle: Path) -> Path:
    """The folder of a base model's files. Raises InputError where one of them is missing or cannot be read."""
    named = read_json(handle, "the handle of a base model")
    for key, kind in (("path", str), ("sha256", dict)):
        if not isinstance(named, dict) or not isinstance(named.get(key), kind):
            raise InputError(
                handle, "the key is missing or broken", "a handle as fetch_base and pretrain_base write it", key=key
            )
    path = Path(named["path"])
    folder = path if path.is_absolute() else Path(handle).parent / path
    for name in named["sha256"]:
        if not (folder / name).is_file():
            expected = f"the model's file that {handle} names (restore it, or remove {handle} to make the model again)"
            raise InputError(folder / name, "is missing", expected)
    check_model_folder(folder, list(named["sha256"]))
    return folder
