"""The import of torch and transformers, made faster."""

import gc
from functools import cache


@cache
def import_libraries() -> None:
    """Import torch and transformers without the garbage collector, which would search their objects again and again.

    Afterwards it still ignores them, because they last as long as the process.
    """
    gc.disable()
    import transformers.modeling_utils  # noqa: F401

    gc.freeze()
    gc.enable()
