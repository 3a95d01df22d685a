"""Whether the files of runs can be written where they go: looked at before any is trained."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.core.permissions import explain_denial, find_obstacle, make_folder
from rps_bench.records.models import model_path
from rps_bench.records.store import record_path
from rps_bench.runtime.locks import CHECKPOINTS_FOLDER


def require_writable(folder: str) -> None:
    """Raise a UserError unless files can be written into the folder, which is made if missing."""
    path = Path(folder)
    try:
        make_folder(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"results_dir {folder} cannot be written ({reason}); name a folder that can"
        ) from error


def require_places(configs: Iterable[RunConfig]) -> None:
    """Raise a UserError unless the runs may write where their files go.

    The folders below a results folder may be another user's, and hours of training would be lost.
    """
    for place in sorted({place for config in configs for place in _places(config)}):
        obstacle = find_obstacle(place.absolute())
        if obstacle is not None:
            raise UserError(f"{place} cannot be written: {explain_denial(place)}")


def _places(config: RunConfig) -> Iterator[Path]:
    """Folders that a run writes into; those that do not exist yet will be made."""
    yield record_path(*config.record_place).parent
    yield Path(config.files.results_dir) / CHECKPOINTS_FOLDER
    if config.files.keep_model:
        yield model_path(*config.record_place).parent
