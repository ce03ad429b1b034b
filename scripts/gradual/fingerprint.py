"""What a script means: a fingerprint of its code and of the code it imports, blind to comments and formatting.

Snakemake tracks no imported module, so each rule carries the fingerprint of its script among its params.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gradual.errors import InputError

IGNORED_FIELDS = ("kind", "type_comment", "type_ignores")
RESOURCES = "RESOURCES"  # a module's tuple of names of the files beside it that it reads
DYNAMIC = ("import_module", "__import__")


class Module(NamedTuple):
    """What counts of a module: a digest of its meaning, the absolute names it may import, the files it reads."""

    digest: str
    imports: tuple[str, ...]
    resources: tuple[str, ...]


def code_fingerprint(script: Path, library: Path, unused: Collection[str] = ()) -> str:
    """16 hex digits that change with the meaning of a script or of any module it imports, directly or not.

    Modules are looked for beside the package folder `library`; imports inside functions count, and packages'
    __init__ with their submodules. Modules that are `unused`, by absolute name, do not count, nor what only they import:
    those that the settings at hand keep the script from importing. A module names the other files it reads in
    `RESOURCES`, a tuple of names of files beside it; their bytes count. Raises InputError for a missing file, a syntax
    error, or an import whose name is computed, which cannot be followed.
    """
    root = Path(library).parent
    parts: dict[str, str] = {}
    sought: set[str] = set()
    waiting = [("", Path(script))]
    while waiting:
        name, path = waiting.pop()
        if name in parts or name in unused:
            continue
        module = _read(path, name)
        parts[name] = module.digest
        for resource in module.resources:
            file = path.parent / resource
            if not file.is_file():
                raise InputError(path, f"there is no file {resource!r} beside it", "files to read", key=RESOURCES)
            parts[f"{name}:{resource}"] = _hash(file.read_bytes())
        fresh = set(module.imports) - sought
        sought |= fresh
        waiting += [(found, file) for wanted in fresh for found, file in _locate(wanted, root)]
    return _hash(repr(sorted(parts.items())).encode())


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _locate(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The modules below `root` that importing a dotted name runs: its packages and itself, as far as they are there."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:end])
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                yield ".".join(parts[:end]), path
                break


def _read(path: Path, name: str) -> Module:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(path, "cannot be read", "a Python file") from error
    return _analyse(path, name, status.st_mtime_ns, status.st_size)


@cache
def _analyse(path: Path, name: str, mtime: int, size: int) -> Module:
    """`mtime` and `size` make the cache notice an edited file."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(path, f"{error}", "valid Python", row=getattr(error, "lineno", None)) from error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = tuple(sorted({found for node in ast.walk(tree) for found in _imported(node, package, path)}))
    return Module(_hash(_canonical(tree).encode()), imports, _resources(tree, path))


def _imported(node: ast.AST, package: str, path: Path) -> Iterator[str]:
    """The names that a node may import, from inside `package`."""
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
        if called in DYNAMIC:
            wanted = node.args[0] if node.args else None
            if not isinstance(wanted, ast.Constant) or not isinstance(wanted.value, str) or wanted.value[:1] == ".":
                expected = "an absolute name as a literal text, which can be followed"
                raise InputError(path, f"{called} of a computed name", expected, row=node.lineno)
            yield wanted.value


def _resources(tree: ast.Module, path: Path) -> tuple[str, ...]:
    """The names that the module's RESOURCES lists."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(target, ast.Name) and target.id == RESOURCES for target in targets):
            continue
        try:
            names = ast.literal_eval(node.value)
        except ValueError:
            names = None
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise InputError(path, "not a literal", "a tuple of file names", row=node.lineno, key=RESOURCES)
        return names
    return ()


def _is_text(node: Any) -> bool:
    """A docstring, or a text that stands as a statement elsewhere and means as little."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _canonical(node: Any) -> str:
    """A syntax tree as text, without docstrings, positions and what is empty: the same in all Python versions."""
    if isinstance(node, ast.AST):
        fields = {f: _canonical(getattr(node, f, None)) for f in node._fields if f not in IGNORED_FIELDS}
        inside = ",".join(f"{field}={text}" for field, text in fields.items() if text not in ("None", "[]"))
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not _is_text(item))}]"
    return repr(node)
