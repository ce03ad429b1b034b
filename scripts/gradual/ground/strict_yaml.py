"""YAML, read strictly: what a reader could take otherwise than the writer meant is an error."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gradual.ground.errors import InputError

LONGEST = 2**18  # bytes of a file
DEEPEST = 20  # levels of mappings and lists in each other
MOST = 20_000  # values of a file, where an alias stands for all values of its anchor
# How each kind of value is written. YAML also takes `on` as true, 010 as 8, 1:30 as 90 and 2026-01-02 as a date.
KINDS = {
    "str": (".*", ""),
    "null": (".*", ""),
    "bool": ("[Tt]rue|[Ff]alse|TRUE|FALSE", "true or false"),
    "int": (r"[-+]?(0|[1-9][0-9_]{0,17})", "at most 18 decimal digits"),
    "float": (r"[-+]?[0-9]*\.?[0-9]*([eE][-+][0-9]+)?", "a finite number in decimal digits"),
}
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"  # of the key <<


def read_mapping(path: Path, expected: str) -> dict[str, Any]:
    """The mapping of a YAML file; `expected` says in an error what the file should be.

    Raises InputError for a file that cannot be read, that is no mapping, or that is too large, too deep or a cycle; for a
    key that is there twice; and for a value that YAML takes otherwise than it looks. No error shows a value of the file.
    """
    try:
        if not path.is_file():
            raise InputError(path, "is missing or is not a file", expected)
        if path.stat().st_size > LONGEST:
            raise InputError(path, f"has more than {LONGEST // 1024} KiB", expected)
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(path, "does not hold a mapping", expected)
        _measure(node, path, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:  # whose text has lines of the file
        row = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(path, f"cannot be read ({error.problem})", expected, row=row) from None
    except RecursionError:
        raise InputError(path, "cannot be read", f"at most {DEEPEST} levels of mappings and lists") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(path, f"cannot be read ({type(error).__name__})", f"{expected}, in UTF-8") from None


def _measure(node: yaml.Node, path: Path, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """The number of values of a node and below it, and its levels. Raises InputError as `read_mapping` does.

    `known` has the numbers of the nodes that were measured, so that each is measured once, whatever aliases stand for it.
    """
    if id(node) not in known:
        known[id(node)] = 0, DEEPEST  # found again only by a node that holds itself
        below = [_measure(child, path, known) for child in _children(node, path)]
        size, levels = 1 + sum(size for size, _ in below), 1 + max((levels for _, levels in below), default=0)
        if levels > DEEPEST:
            raise _error(path, node, "is too deep, or holds itself", f"at most {DEEPEST} levels of mappings and lists")
        if size > MOST:
            raise _error(path, node, "has too many values, because aliases repeat them", f"at most {MOST:,} values")
        known[id(node)] = size, levels
    return known[id(node)]


def _children(node: yaml.Node, path: Path) -> Iterator[yaml.Node]:
    """The values of a mapping or a list. Raises InputError for a node that is not what it looks like."""
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node, path)
        return
    if node.tag not in (f"{TAG}map", f"{TAG}seq"):
        raise _error(path, node, f"the tag {node.tag.removeprefix(TAG)}", "a mapping or a list without a tag")
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
        return
    keys = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _error(path, key, "a key that is a list or a mapping", "a text")
        if keys[key.tag, key.value] > 1:
            raise _error(path, key, "a key that is there twice", "each key once", key.value)
        if key.tag != MERGE:
            _check_scalar(key, path)
        yield value


def _check_scalar(node: yaml.ScalarNode, path: Path) -> None:
    kind = node.tag.removeprefix(TAG)
    written, expected = KINDS.get(kind, ("(?!)", "a text, a number, true, false or null"))
    if not re.fullmatch(written, node.value, re.DOTALL) or (kind == "float" and not math.isfinite(float(node.value))):
        raise _error(path, node, f"YAML takes this value as {kind}", f"{expected}; quote a text")


def _error(path: Path, node: yaml.Node, problem: str, expected: str, key: str | None = None) -> InputError:
    return InputError(path, problem, expected, row=node.start_mark.line + 1, key=key)
