"""The fingerprint of a script: a digest of its code and of the code that it imports.

Snakemake does not track imported modules, so each rule has the fingerprint of its script among its params. Code that
cannot change a result does not count: comments, docstrings and formatting, the texts of errors and log lines, the help of
options, the block that starts a script, and the implementations (`ground.choices`) that a study does not choose.
"""

import ast
import hashlib
import json
import os.path
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gradual.ground.errors import InputError
from gradual.ground.files import write_text

IGNORED_FIELDS = ("kind", "type_comment", "type_ignores")
RESOURCES = "RESOURCES"  # a module's tuple with the names of the files that it reads from its own folder
DYNAMIC = ("import_module", "__import__")
CHOICE = "Choice"  # ground.choices.Choice
CHOICES_MODULE = "choices.py"  # the only module that may import by a computed name
LOGGER = "log"
HELP = ("help", "description", "epilog")  # keywords of argparse


class Choices(NamedTuple):
    """A call of Choice: its setting, and pairs of a name and its place ("module:attribute")."""

    setting: str
    places: tuple[tuple[str, str], ...]


class Module(NamedTuple):
    """The parts of a module that count in a fingerprint.

    `digest` is of its code. `imports` are the absolute names that it may import. `choices` are its calls of Choice.
    `resources` are the files that it reads.
    """

    digest: str
    imports: tuple[str, ...]
    choices: tuple[Choices, ...]
    resources: tuple[str, ...]


def code_fingerprint(
    script: Path, library: Path, chosen: Mapping[str, Collection[str]] | None = None, kept: Path | None = None
) -> str:
    """16 hex digits that change with the code of a script or of any module that it imports, directly or indirectly.

    Modules are searched for in the folder that holds the package folder `library`. Imports inside functions count, and so
    does the __init__ of each package. `chosen` maps a setting to the names that a study chooses for it. Only these names
    of a Choice by this setting count. All names of any other Choice count. The bytes of the files in a module's
    `RESOURCES` also count. The parts of parsed modules are kept in the folder `kept`, because parsing takes most of the
    time. Raises InputError for a missing file, a syntax error, or an import of a computed name, because it cannot be
    followed.
    """
    root = Path(library).parent
    parts: dict[str, str] = {}
    sought: set[str] = set()
    waiting = [("", Path(script))]
    while waiting:
        name, path = waiting.pop()
        if name in parts:
            continue
        module = _read(path, name, kept)
        parts[name] = module.digest
        wanted = set(module.imports)
        for setting, places in module.choices:
            taken = (chosen or {}).get(setting)
            for choice, place in places:
                if taken is None or choice in taken:
                    parts[f"{name}:{setting}:{choice}"] = place
                    wanted.add(place.partition(":")[0])
        for resource in module.resources:
            file = path.parent / resource
            if not file.is_file():
                raise InputError(
                    path, f"there is no file {resource!r} beside it", "names of existing files", key=RESOURCES
                )
            parts[f"{name}:{resource}"] = _hash(file.read_bytes())
        fresh = wanted - sought
        sought |= fresh
        waiting += [(found, file) for imported in fresh for found, file in _locate(imported, root)]
    return _hash(repr(sorted(parts.items())).encode())


def chosen_by(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that a study chooses for the settings that are the same in all its jobs."""
    return {
        "reader": [config["dataset"]["reader"]],
        "engine": [config["probe"]["engine"]],
        "counts": [config["probe"]["counts"]],
    }


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _locate(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The modules below `root` that run when a dotted name is imported: its packages, and the module itself."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = "/".join([str(root), *parts[:end]])  # as text, because there are thousands of names
        for file in (f"{place}/__init__.py", f"{place}.py"):
            if os.path.isfile(file):
                yield ".".join(parts[:end]), Path(file)
                break


def _read(path: Path, name: str, kept: Path | None) -> Module:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(path, "cannot be read", "a Python file") from error
    return _module(path, name, kept, status.st_mtime_ns, status.st_size)


@cache
def _module(path: Path, name: str, kept: Path | None, mtime: int, size: int) -> Module:
    """A module's parts, kept or parsed. With `mtime` and `size` among the arguments, the cache notices an edited file."""
    content = path.read_bytes()
    if kept is None:
        return _parse(content, path, name)
    file = kept / f"{_hash(_parser() + repr((name, path.name)).encode() + content)}.json"
    try:
        digest, imports, choices, resources = json.loads(file.read_text(encoding="utf-8"))
        found = tuple(Choices(setting, tuple((name, place) for name, place in places)) for setting, places in choices)
        return Module(digest, tuple(imports), found, tuple(resources))
    except (OSError, ValueError, TypeError):  # not kept, or the file is broken
        module = _parse(content, path, name)
    with suppress(OSError, InputError):  # a dry run needs no disk that can be written
        write_text(json.dumps(module), file)
    return module


@cache
def _parser() -> bytes:
    """What parses modules: this file, and the version of Python. Other ones do not read what these have kept."""
    return repr(sys.version_info).encode() + Path(__file__).read_bytes()


def _parse(content: bytes, path: Path, name: str) -> Module:
    """The parts of a module that has this content."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise InputError(path, f"{error}", "valid Python", row=getattr(error, "lineno", None)) from error
    start = [node for node in tree.body if _starts(node)]
    tree.body = [node for node in tree.body if node not in start]
    only_there = _names(start) - _names(tree.body)
    tree.body = [node for node in tree.body if not _imports_only(node, only_there)]
    for node in [*ast.walk(tree)]:
        if isinstance(node, ast.FunctionDef):
            _drop_texts_of_errors(node)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = tuple(sorted({found for node in ast.walk(tree) for found in _imported(node, package, path)}))
    choices = tuple(_choices(node, path) for node in ast.walk(tree) if _is_choice(node))
    return Module(_hash(_canonical(tree).encode()), imports, choices, _resources(tree, path))


def _imported(node: ast.AST, package: str, path: Path) -> Iterator[str]:
    """The absolute names that a node of a module in `package` may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if called in DYNAMIC and path.name != CHOICES_MODULE:
            wanted = node.args[0] if node.args else None
            if not isinstance(wanted, ast.Constant) or not isinstance(wanted.value, str) or wanted.value[:1] == ".":
                expected = "an absolute name as a literal text, which can be followed"
                raise InputError(path, f"{called} of a computed name", expected, row=node.lineno)
            yield wanted.value


def _drop_texts_of_errors(function: ast.FunctionDef) -> None:
    """Take the texts out of a function that it assigns to a name and uses in nothing but `raise` statements."""
    said = {id(part) for node in ast.walk(function) if isinstance(node, ast.Raise) for part in ast.walk(node)}
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    used = {name.id for name in names if id(name) not in said}
    for node in ast.walk(function):
        for block in ("body", "orelse", "finalbody"):
            kept = getattr(node, block, None)
            if isinstance(kept, list):
                setattr(node, block, [part for part in kept if not _is_unused_text(part, used)])


def _is_unused_text(node: Any, used: Collection[str]) -> bool:
    """Whether a statement assigns a literal text, perhaps with values in it, to a name that is not used."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.JoinedStr | ast.Constant):
        return False
    text = isinstance(node.value, ast.JoinedStr) or isinstance(node.value.value, str)
    return text and all(isinstance(target, ast.Name) and target.id not in used for target in node.targets)


def _starts(node: ast.stmt) -> bool:
    """Whether a statement is the block that starts a script. It does not count, because it changes no result."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _names(nodes: list[ast.stmt]) -> set[str]:
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}


def _imports_only(node: ast.stmt, names: Collection[str]) -> bool:
    """Whether a statement imports nothing but some of these names."""
    return isinstance(node, ast.ImportFrom) and {alias.asname or alias.name for alias in node.names} <= {*names}


def _is_choice(node: Any) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == CHOICE


def _choices(node: Any, path: Path) -> Choices:
    """The setting and the places of a call of Choice, which must be literals."""
    try:
        setting, places = map(ast.literal_eval, node.args)
        return Choices(setting, tuple(sorted(places.items())))
    except (ValueError, AttributeError) as error:
        expected = "a setting and a mapping from names to places, as literal texts"
        raise InputError(path, "the arguments of Choice are computed", expected, row=node.lineno) from error


def _resources(tree: ast.Module, path: Path) -> tuple[str, ...]:
    """The names that the module's RESOURCES lists."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(isinstance(target, ast.Name) and target.id == RESOURCES for target in targets):
            continue
        try:
            names = ast.literal_eval(node.value) if node.value else None
        except ValueError:
            names = None
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise InputError(path, "not a literal", "a tuple of file names", row=node.lineno, key=RESOURCES)
        return names
    return ()


def _says_nothing(node: Any) -> bool:
    """Whether a statement is a docstring, another text without use, or a call of the logger."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return isinstance(value.func.value, ast.Name) and value.func.value.id == LOGGER
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _canonical(node: Any) -> str:
    """A syntax tree as text, without the parts that do not count. The text is the same in all Python versions."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"Raise(exc={_canonical(node.exc.func)})"  # the type of the error counts, its text does not
    if _is_choice(node):
        return f"Choice({_canonical(node.args[0])})"
    if isinstance(node, ast.AST):
        fields = {f: _canonical(getattr(node, f, None)) for f in node._fields if f not in IGNORED_FIELDS}
        inside = ",".join(f"{field}={text}" for field, text in fields.items() if text not in ("None", "[]"))
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        kept = [item for item in node if not _says_nothing(item) and not _is_help(item)]
        return f"[{','.join(map(_canonical, kept))}]"
    return repr(node)


def _is_help(node: Any) -> bool:
    return isinstance(node, ast.keyword) and node.arg in HELP
