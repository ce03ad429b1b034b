"""The import of transformers without what no job here needs. It saves a fifth of a job's start.

transformers imports scipy for the losses of image models, which no causal language model has. And it reads the files of all
its models to learn which names they have, once for `transformers` and again for `transformers.models`.
"""

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

from gradual.ground.libraries import import_libraries


@cache
def import_transformers() -> None:
    """Import torch and transformers. transformers takes scipy for missing, but others can still import scipy afterwards."""
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        import transformers

        if "transformers.models" not in sys.modules:
            _read_models_later(transformers)
        import_libraries()
    finally:
        if hidden:
            del sys.modules["scipy"]


def _read_models_later(transformers: Any) -> None:
    """Make `transformers.models` a package whose modules can be imported. It reads its files only for another name."""
    spec = PathFinder.find_spec("transformers.models", transformers.__path__)
    if spec is None or spec.loader is None:
        return
    package, loader = module_from_spec(spec), spec.loader

    def read(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        loader.exec_module(package)  # replaces the package in sys.modules
        return getattr(sys.modules[package.__name__], name)

    vars(package)["__getattr__"] = read
    sys.modules[package.__name__] = transformers.models = package
