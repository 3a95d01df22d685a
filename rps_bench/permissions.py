"""What other users may do with what is written here: as much as with the folder that it lies in.

Where a group may write in a folder, it may read and write the files and folders that are made
there, whatever the umask of who makes them, as in a repository of `git init --shared`. Elsewhere
the umask alone decides. No right is ever taken away. Systems other than POSIX are left alone.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

_IS_POSIX = os.name == "posix"
_ACCESS_LIST = "system.posix_acl_access"
GROUP, OTHERS = stat.S_IRGRP | stat.S_IWGRP, stat.S_IROTH | stat.S_IWOTH


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it where they are missing; return it.

    Raises:
        OSError: As of ``Path.mkdir``.
    """
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        return make_folder(folder)
    except OSError:  # it is there, or a disk that is read-only
        if not folder.is_dir():
            raise
    else:
        follow_folder(folder)
    return folder


def follow_folder(path: Path) -> None:
    """Give a new file or folder, made by this process, the rights of the folder that it lies in."""
    rights = shared_rights(path.parent)
    if rights == 0:
        return
    with suppress(OSError):  # a disk without permissions: nothing can be done, nothing is lost
        facts = path.stat()
        if rights & GROUP and not share_group(path):
            rights &= ~GROUP  # the file's own group may be any, all users of a machine for example
        if stat.S_ISDIR(facts.st_mode):
            rights = _with_entry(rights)
        if rights & ~facts.st_mode:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | rights)


def follow_folder_below(folder: Path) -> None:
    """Give everything in a folder, and the folder itself, the rights of what they lie in."""
    follow_folder(folder)
    if shared_rights(folder):
        for path in sorted(folder.rglob("*")):  # a folder comes before what it holds
            follow_folder(path)


def follow_by_umask(folder: Path) -> None:
    """Let the umask of this process take away no right that a folder gives, for a library's files.

    For a process of its own that writes nowhere else: a umask is one for all threads and folders.
    """
    rights, facts = shared_rights(folder), folder.stat()
    if not facts.st_mode & stat.S_ISGID and facts.st_gid != os.getegid():
        rights &= ~GROUP  # new files would be another group's
    os.umask(os.umask(0o077) & ~_with_entry(rights))


def shared_rights(folder: Path) -> int:
    """The bits of a file's mode that let those read and write it who may write in a folder.

    None for others where the folder is sticky, as ``/tmp`` is: there each one's files are their
    own. None at all where an access control list says more than the bits tell; such a list has a
    part that new files inherit.
    """
    if not _IS_POSIX:
        return 0
    mode = folder.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and _has_access_list(folder):
        return 0
    is_for_others = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    return (GROUP if mode & stat.S_IWGRP else 0) | (OTHERS if is_for_others else 0)


def share_group(path: Path) -> bool:
    """Give a file of one's own to the group of its folder; returns whether it is that group's."""
    group = path.parent.stat().st_gid
    if path.stat().st_gid != group:
        with suppress(OSError):  # not a member of it
            os.chown(path, -1, group)
    return path.stat().st_gid == group


def explain_denial(path: str | Path) -> str:
    """Which file or folder stands in the way of writing a file, whose it is, and what helps.

    Empty where none is found.
    """
    if not _IS_POSIX:
        return ""
    with suppress(OSError, RuntimeError):
        obstacle = find_obstacle(Path(path).absolute())
        if obstacle is not None:
            return _describe(obstacle)
    return ""


def find_obstacle(path: Path) -> Path | None:
    """The file or folder whose permissions keep this process from writing ``path``, if any does.

    Args:
        path: Absolute; a file, or a folder to write into. It and those above it may be missing.
    """
    for above in reversed(path.parents):
        if not os.path.lexists(above):
            break
        if not os.access(above, os.X_OK):
            return above
    nearest = next((above for above in path.parents if os.path.lexists(above)), path)
    # Who may write in a folder may replace what it holds.
    for obstacle in (path,) if path.is_dir() else (nearest, path):
        if os.path.lexists(obstacle) and _missing_rights(obstacle):
            return obstacle
    return None


def _with_entry(rights: int) -> int:
    """Who may read a folder may enter it."""
    return rights | (rights & (stat.S_IRGRP | stat.S_IROTH)) >> 2


def _missing_rights(path: Path) -> str:
    """Which of r, w and x this process lacks."""
    wanted = {"w": os.W_OK} | ({"x": os.X_OK} if path.is_dir() else {"r": os.R_OK})
    return "".join(letter for letter, right in wanted.items() if not os.access(path, right))


def _describe(obstacle: Path) -> str:
    facts = obstacle.stat()
    owner = _name_of_user(facts.st_uid)
    who, whose = ("you", "u") if facts.st_uid == os.geteuid() else (owner, "g")
    return (
        f"{obstacle} belongs to {owner}, group {_name_of_group(facts.st_gid)}, "
        f"{stat.filemode(facts.st_mode)}; {who} can chmod {whose}+{_missing_rights(obstacle)} it, "
        "or name another folder"
    )


def _name_of_user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # in a container, or a user that is gone
        return f"user {number}"


def _name_of_group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _has_access_list(folder: Path) -> bool:
    if not hasattr(os, "listxattr"):
        return False
    try:
        return _ACCESS_LIST in os.listxattr(folder)
    except OSError:  # a disk without such lists
        return False
