"""The store of records: paths, writing, reading.

One file per run: `results_dir/records/<dataset>/<arch>/<run_id>.json`. Writing is atomic. Reading
never stops at a broken file: it is returned as a `Problem`, apart from the valid records.
"""

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rps_bench.core.atomic import write_text
from rps_bench.records.schema import FINISHED, Record, RecordError, check_record
from rps_bench.records.upgrade import upgrade_record

RECORDS_FOLDER = "records"
LARGEST_RECORD_BYTES = 1 << 25  # a hundred thousand epochs take about 20 MB

# A slug starts with a letter or digit and has no separator, so no path can leave its folder.
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,199}")

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # as JSON escapes it


class Problem(NamedTuple):
    """A file under `records/` without a valid record, and the reason."""

    path: Path
    reason: str


def record_path(results_dir: str | Path, dataset: str, arch: str, run_id: str) -> Path:
    """The file of one run. A name that is not a plain slug raises `RecordError`."""
    for what, name in (("dataset", dataset), ("arch", arch), ("run_id", run_id)):
        if not _SLUG.fullmatch(name):
            raise RecordError(
                f"{what} {name!r} cannot name a file: "
                "letters, digits and . _ = + - are allowed, a letter or digit first"
            )
    return Path(results_dir) / RECORDS_FOLDER / dataset / arch / f"{run_id}.json"


def write_record(results_dir: str | Path, record: Mapping[str, Any]) -> Path:
    """Check `record` and write it atomically, replacing an older one of the same run.

    If `check_record` refuses the record (also for NaN and infinity), raises `RecordError` and
    writes nothing.
    """
    check_record(record)
    config = record["config"]
    path = record_path(results_dir, config["dataset"], config["arch"], record["run_id"])
    text = json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False)
    return write_text(path, text + "\n")


def read_record(path: Path) -> Record:
    """The checked record in `path`, with what records lacked when it was written.

    Raises `RecordError` with a reason that does not repeat the path, `OSError` if the file
    cannot be read.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise RecordError("not a file")
    if facts.st_size > LARGEST_RECORD_BYTES:
        raise RecordError(f"{facts.st_size} bytes, a record has at most {LARGEST_RECORD_BYTES}")
    try:
        content = path.read_bytes()
        record = json.loads(content, parse_constant=_refuse_constant)
        if _SURROGATE.search(content):  # a lone surrogate could not be written again
            json.dumps(record, ensure_ascii=False).encode()
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # such as a number with too many digits
        raise RecordError(f"not valid JSON ({error})") from error
    check_record(record)
    return upgrade_record(record)


def find_record(results_dir: str | Path, dataset: str, arch: str, run_id: str) -> Record | None:
    """The record of one run, None if there is none yet.

    A broken file raises a `RecordError` that names it, so that it is not overwritten unnoticed.
    """
    path = record_path(results_dir, dataset, arch, run_id)
    try:
        return read_record(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror})") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}; mend or delete the file") from error


def find_finished(results_dir: str | Path, dataset: str, arch: str, run_id: str) -> Record | None:
    """The record of a run that need not be tried again, None if there is none.

    A broken file raises `RecordError`, as in `find_record`.
    """
    record = find_record(results_dir, dataset, arch, run_id)
    return record if record is not None and record["status"] in FINISHED else None


def read_records(results_dir: str | Path) -> tuple[tuple[Record, ...], tuple[Problem, ...]]:
    """All valid records under `results_dir`, in path order, and the broken files.

    Temporary and hidden files are ignored; a missing folder gives two empty tuples.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    for path in sorted((Path(results_dir) / RECORDS_FOLDER).rglob("*.json")):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            records.append(read_record(path))
        except RecordError as error:
            problems.append(Problem(path, str(error)))
        except OSError as error:
            problems.append(Problem(path, error.strerror or str(error)))
    return tuple(records), tuple(problems)


def _refuse_constant(name: str) -> NoReturn:
    raise RecordError(f"holds {name}, which is not JSON; use null where unknown")
