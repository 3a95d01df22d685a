"""Plugins that a command line or ``load_plugins`` names: what a file or module offers, by name."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rps_bench.core.errors import UserError
from rps_bench.core.origins import ORIGINS, Origin
from rps_bench.plugins.digests import digest_files, files_of, files_of_module
from rps_bench.plugins.groups import GROUPS, registry_of
from rps_bench.plugins.offers import Offers, accept, describe_failure
from rps_bench.plugins.references import is_file

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Loaded:
    origin: Origin
    files: tuple[Path, ...]
    signature: Signature


_LOADED: dict[str, _Loaded] = {}  # by reference


def load_reference(reference: str) -> None:
    """Load what a reference of ``read_references`` names, unless it is loaded as it stands.

    Raises:
        UserError: It cannot be imported, offers nothing, or breaks a contract.
    """
    known = _LOADED.get(reference)
    if known is not None and known.signature == _sign(known.files):
        return
    if known is not None:
        _forget(reference, known)
    files = files_of(Path(reference)) if is_file(reference) else files_of_module(reference)
    signature = _sign(files)
    sha256 = digest_files(files) if files else None
    kind, name = ("file", Path(reference).name) if is_file(reference) else ("module", reference)
    origin = Origin(name, kind, sha256=sha256)
    try:
        module = _run_file(Path(reference)) if kind == "file" else import_module(reference)
    except UserError as error:  # such as a sharing map whose kind is another's
        raise UserError(f"{origin}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{origin} cannot be imported ({describe_failure(error)})") from error
    if sha256 is None:
        raise UserError(f"{origin} has no Python files, so no run could tell what it was")
    accept(_list_offers(module, origin), module, origin)
    _LOADED[reference] = _Loaded(origin, files, signature)


def list_loaded() -> tuple[str, ...]:
    """The references that are loaded, in order: what another process needs to know the same."""
    return tuple(_LOADED)


def _list_offers(module: ModuleType, origin: Origin) -> Offers:
    """What stands in the module's tables."""
    offers: Offers = {}
    for group, (table, _, noun) in GROUPS.items():
        offered = getattr(module, table, {})
        if not isinstance(offered, Mapping):
            wanted = f"a table of names, such as {table} = {{'my_{noun}': ...}}"
            raise UserError(f"{origin}: {table} must be {wanted}, got {type(offered).__name__}")
        if offered and offered is registry_of(group):
            hint = f"write {table} = {{'my_{noun}': ...}} instead of importing it"
            raise UserError(f"{origin}: {table} is the package's own; {hint}")
        offers |= {(group, name): value for name, value in offered.items()}
    if not offers:
        tables = ", ".join(group.table for group in GROUPS.values())
        example = "such as METHODS = {'my_method': MyMethod}"
        raise UserError(f"{origin} offers nothing: it needs one of {tables}, {example}")
    return offers


def _run_file(path: Path) -> ModuleType:
    """The module of a plain file, from the content that its digest is of, and no other's cache.

    Files beside it can be imported, as those beside a script can.
    """
    name = f"rps_bench_plugin_{path.stem}"
    while name in sys.modules:  # another folder's file of this name
        name += "_"
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their own module up
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _forget(reference: str, known: _Loaded) -> None:
    """Take back what a plugin offered before it changed, and the modules beside it."""
    for key in [key for key, origin in ORIGINS.items() if origin is known.origin]:
        del ORIGINS[key], registry_of(key[0])[key[1]]
    for name in list(_modules_of(known.files)):
        del sys.modules[name]
    del _LOADED[reference]


def _modules_of(files: tuple[Path, ...]) -> Iterator[str]:
    wanted = {str(path) for path in files}
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) in wanted:
            yield name


def _sign(files: tuple[Path, ...]) -> Signature:
    """What tells, without reading them, whether files have changed."""
    signs = []
    for path in files:
        try:
            found = path.stat()
        except OSError:
            return ()
        signs.append((str(path), found.st_mtime_ns, found.st_size))
    return tuple(signs)
