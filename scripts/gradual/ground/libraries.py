"""The import of torch and transformers, made faster."""

import gc
from functools import cache


@cache
def import_libraries() -> None:
    """Import torch and transformers, without the garbage collector: it would search their objects again and again.

    It leaves them alone afterwards, too; they last as long as the process.
    """
    gc.disable()
    import transformers.modeling_utils  # noqa: F401

    gc.freeze()
    gc.enable()
