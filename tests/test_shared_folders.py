"""Two users of one group and one folder: what one makes the other can open, lock and replace."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rps_bench.core.atomic import write_text
from rps_bench.core.permissions import explain_denial, make_folder
from rps_bench.runtime.locks import hold, make_lock
from rps_bench.sweep.planning import plan_runs
from tests.conftest import Command
from tests.users import GROUP, as_b, give_to_a, need_players

SETTINGS = (
    *("recipe=smoke", "recipe.max_steps_per_epoch=2", "arch.width=2"),
    *("threads=1", "device=cpu", "precision=fp32"),
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that B may enter and whose group may write in it; its files get its group."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    folder = tmp_path / "shared"
    folder.mkdir()
    os.chown(folder, -1, GROUP if os.geteuid() == 0 else os.getegid())
    folder.chmod(0o2775)
    return folder


def rights(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(
    ("folder_mode", "mask", "file", "folder", "lock"),
    [
        (0o2775, 0o022, "-rw-rw-r--", "drwxrwsr-x", "-rw-rw-r--"),
        (0o2770, 0o077, "-rw-rw----", "drwxrws---", "-rw-rw----"),
        (0o777, 0o022, "-rw-rw-rw-", "drwxrwxrwx", "-rw-rw-rw-"),
        (0o755, 0o022, "-rw-r--r--", "drwxr-xr-x", "-rw-r--r--"),
        (0o755, 0o077, "-rw-------", "drwx------", "-rw-------"),
        (0o700, 0o002, "-rw-rw-r--", "drwxrwxr-x", "-rw-rw-r--"),
        (0o1777, 0o022, "-rw-rw-r--", "drwxrwxr-x", "-rw-rw-r--"),
    ],
    ids=["group", "group alone", "all", "readers", "secretive", "private", "sticky"],
)
def test_what_is_made_follows_its_folder(
    folder_mode: int, mask: int, file: str, folder: str, lock: str, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(folder_mode)
    with umask(mask):
        assert rights(write_text(place / "file", "")) == file
        made = make_folder(place / "folder")
        assert rights(made) == folder
        with hold(make_lock(place / "lock")):
            assert rights(place / "lock") == lock


def test_without_setgid_files_are_given_to_the_group_of_the_folder(shared: Path) -> None:
    need_players()
    shared.chmod(0o775)
    with umask(0o022), hold(make_lock(shared / "lock")):
        write_text(shared / "below" / "file", "")
    for path in (shared / "lock", shared / "below", shared / "below" / "file"):
        assert path.stat().st_gid == GROUP
        assert path.stat().st_mode & stat.S_IWGRP


def test_a_group_that_one_is_no_member_of_gives_nothing_to_ones_own(shared: Path) -> None:
    """The group of the file may be all users of the machine."""
    need_players()
    os.chown(shared, -1, GROUP + 1)
    shared.chmod(0o777)
    code = "import sys; from pathlib import Path; from rps_bench.core.atomic import write_text\n"
    code += "write_text(Path(sys.argv[1]), '')"
    shared.chmod(0o773)  # others may write, so that B can
    assert as_b("-c", code, shared / "file", umask=0o077).returncode == 0
    assert (shared / "file").stat().st_gid == 0
    assert rights(shared / "file") == "-rw----rw-"


def test_one_goes_on_where_the_other_was(shared: Path, command: Command) -> None:
    """The folders are shared only after A has made them alone, so the files are A's alone."""
    need_players()
    results = shared / "results"
    words = [*SETTINGS, f"results_dir={results}", "keep_model=true"]
    shared.chmod(0o755)
    with umask(0o022):
        assert command("method=mag", *words) == 0
    give_to_a(shared)
    for path in (shared, *shared.rglob("*")):
        if path.is_dir():
            path.chmod(0o2775)
    run = as_b("-m", "rps_bench", "-m", "method=mag,rand", *words)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("already recorded, skipped") == 1
    report = as_b("-m", "rps_bench.reports", results, "--only", "table")
    assert report.returncode == 0, report.stderr
    for name in ("records", "models"):
        modes = {rights(path) for path in (results / name).rglob("*rand*")}
        assert modes == {"-rw-rw-r--"}


ASK = """
import sys
from rps_bench.core.output import show_error
from rps_bench.core.errors import UserError
from rps_bench.sweep.places import require_places
from rps_bench.sweep.planning import plan_runs
try:
    require_places(plan_runs(sys.argv[1:], is_sweep=False).configs)
except UserError as error:
    show_error(error)
    sys.exit(2)
"""


@pytest.mark.parametrize("closed", ["records/digits", "records", "checkpoints", "models"])
def test_who_has_no_right_is_told_before_anything_is_trained(closed: str, shared: Path) -> None:
    need_players()
    make_folder(shared / closed).chmod(0o755)
    give_to_a(shared)
    words = [*SETTINGS, f"results_dir={shared}", "keep_model=true"]
    door = ["-m", "rps_bench"] if closed == "models" else ["-c", ASK]  # the whole takes longer
    run = as_b(*door, "method=rand", *words)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("rps_bench: error: ")
    assert line.endswith(
        f"{shared / closed} belongs to user 12345, group 54321, drwxr-xr-x; "
        "user 12345 can chmod g+w it, or name another folder"
    )
    assert run.stdout == ""


def test_a_plan_may_look_at_what_it_may_not_write(shared: Path) -> None:
    need_players()
    words = ["method=mag", *SETTINGS, f"results_dir={shared}"]
    (config,) = plan_runs(words, is_sweep=False).configs
    lock = shared / "checkpoints" / "some" / f"run-{config.run_id}.lock"
    make_folder(lock.parent)
    lock.touch()
    give_to_a(shared, GROUP + 1)
    for path in (shared, *shared.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    plan = ("-m", "rps_bench.plan", *words)
    assert "1 begun" in as_b(*plan).stdout
    with hold(make_lock(lock)):
        assert "1 in progress" in as_b(*plan).stdout
    assert lock.is_file()


TAKE = """
import sys
from pathlib import Path
from rps_bench.core.errors import explain
from rps_bench.runtime.locks import make_lock, try_take
try:
    print(try_take(make_lock(Path(sys.argv[1]))))
except OSError as error:
    print(explain(error))
"""


@pytest.mark.parametrize(
    ("folder_mode", "mode", "is_held", "said"),
    [
        (0o2775, 0o644, False, "True"),
        (0o2775, 0o644, True, "False"),
        (0o2775, 0o664, False, "True"),
        (0o2775, 0o664, True, "False"),
        (
            0o2775,
            0o600,
            False,
            "Permission denied (LOCK belongs to user 12345, group 54321, -rw---",
        ),
        (
            0o755,
            0o644,
            False,
            "Permission denied (SHARED belongs to user 12345, group 54321, drwxr",
        ),
    ],
)
def test_locks_of_another_user(
    folder_mode: int, mode: int, is_held: bool, said: str, shared: Path
) -> None:
    need_players()
    lock = shared / "lock"
    lock.touch()
    lock.chmod(mode)
    shared.chmod(folder_mode)
    give_to_a(shared)
    if is_held:
        with hold(make_lock(lock)):
            inode = lock.stat().st_ino
            answer = as_b("-c", TAKE, lock).stdout
            assert lock.stat().st_ino == inode, "a lock that is held was deleted"
    else:
        answer = as_b("-c", TAKE, lock).stdout
    said = said.replace("LOCK", str(lock)).replace("SHARED", str(shared))
    assert said in answer
    assert len(answer.splitlines()) == 1


def test_no_obstacle_no_words(tmp_path: Path) -> None:
    assert explain_denial(tmp_path / "file") == ""
