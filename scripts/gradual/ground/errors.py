"""The errors that a user meets."""

from collections.abc import Sequence


class InputError(ValueError):
    """Input that cannot be used. The error names the file, the row and the key, and says what was expected."""

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
        self.problem, self.expected = problem, expected


SHOWN = 20  # the most faults that one error names


def together(faults: Sequence[InputError]) -> InputError:
    """One error about all faults, up to twenty of them, each in a line. Its file, row and key are those of the first."""
    first, more = faults[0], faults[1:]
    lines = [str(fault) for fault in more[: SHOWN - 1]] + (
        [f"and {len(faults) - SHOWN} more"] if more[SHOWN - 1 :] else []
    )
    return InputError(first.file, first.problem, "\n  ".join([first.expected, *lines]), row=first.row, key=first.key)


def out_of_memory(error: BaseException) -> bool:
    """Whether the memory of a GPU or of the machine did not suffice. Each library has its own words for it."""
    said = (
        "out of memory",
        "can't allocate memory",
        "cannot allocate memory",
        "no available memory for the cache",
        "free memory on device",
        "larger than the available kv cache",
    )
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in said)


class EndedWithNotice(Exception):
    """A job was told to end (SIGTERM). It saved its progress before it ended, and continues when it is started again."""
