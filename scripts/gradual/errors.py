"""The one error that a user meets, what a script does with it, and its log."""

import logging
import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Input that cannot be used: names the file, the row and the key, and says what was expected."""

    def __init__(
        self, file: object, problem: str, expected: str, row: int | None = None, key: str | None = None
    ) -> None:
        place = [str(file)]
        if row is not None:
            place.append(f"row {row}")
        if key is not None:
            place.append(f"key {key!r}")
        super().__init__(f"{', '.join(place)}: {problem}; expected {expected}")
        self.file, self.row, self.key = str(file), row, key


def report(main: Callable[[], None]) -> None:
    """Run a script's main with its log on standard error; an InputError ends it in one line and exit status 1.

    On a terminal libraries may show progress bars; in a log file they would only fill it.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("gradual").setLevel(logging.INFO)
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
