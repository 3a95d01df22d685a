"""What code a plugin is: the files whose content a result depends on, and their digest."""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path


def files_of(path: Path) -> tuple[Path, ...]:
    """A plain file, and what it imports of the files and packages that lie beside it."""
    found, waiting = {path}, [path]
    while waiting:
        for name in _imported_names(waiting.pop()):
            new = set(_files_beside(path.parent, name)) - found
            found |= new
            waiting += new
    return tuple(sorted(found))


def files_of_module(name: str) -> tuple[Path, ...]:
    """All Python files of the package that a module is in, or the module's own.

    No file is known of a module that was built in, or is packed in an archive.
    """
    spec = find_spec(name.partition(".")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        folders = [] if spec is None else list(spec.submodule_search_locations or ())
        return tuple(sorted(path for folder in folders for path in Path(folder).rglob("*.py")))
    origin = Path(spec.origin)
    is_package = spec.submodule_search_locations is not None
    return tuple(sorted(origin.parent.rglob("*.py"))) if is_package else (origin,)


def digest_files(files: Sequence[Path]) -> str:
    """The SHA-256 of one file's content; of several, that of a list of their names and digests."""
    if len(files) == 1:
        return _digest(files[0].read_bytes())
    folder = min((path.parent for path in files), key=lambda folder: len(folder.parts))
    lines = [
        f"{path.relative_to(folder).as_posix()} {_digest(path.read_bytes())}" for path in files
    ]
    return _digest("\n".join(lines).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _imported_names(path: Path) -> Iterator[str]:
    """The first names of the modules that a file imports, wherever in it; none of a broken one."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # importing it will say so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def _files_beside(folder: Path, name: str) -> list[Path]:
    package, file = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return list(package.rglob("*.py"))
    return [file] if file.is_file() else []
