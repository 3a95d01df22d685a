"""Rights of other users on what is written here: those they have on the folder around it.

If a group may write in a folder, it may read and write the files and folders made there, whatever
the umask of the process that makes them, as in a repository of `git init --shared`. Elsewhere the
umask alone decides. No right is ever taken away. Only POSIX systems are handled.
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
        OSError: As in ``Path.mkdir``.
    """
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        return make_folder(folder)
    except OSError:  # the folder exists, or the disk is read-only
        if not folder.is_dir():
            raise
    else:
        follow_folder(folder)
    return folder


def follow_folder(path: Path) -> None:
    """Give a new file or folder of this process the rights of the folder that it lies in."""
    rights = shared_rights(path.parent)
    if rights == 0:
        return
    with suppress(OSError):  # a disk without permissions: nothing can be done, nothing is lost
        facts = path.stat()
        if rights & GROUP and not share_group(path):
            rights &= ~GROUP  # the file's own group may be anyone, such as all users of a machine
        if stat.S_ISDIR(facts.st_mode):
            rights = _with_entry(rights)
        if rights & ~facts.st_mode:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | rights)


def follow_folder_below(folder: Path) -> None:
    """Apply `follow_folder` to a folder and everything in it."""
    follow_folder(folder)
    if shared_rights(folder):
        for path in sorted(folder.rglob("*")):  # a folder comes before what it holds
            follow_folder(path)


def follow_by_umask(folder: Path) -> None:
    """Loosen this process's umask to the rights of a folder, for files that a library writes.

    Only for a process that writes nowhere else: a umask holds for all threads and folders.
    """
    rights, facts = shared_rights(folder), folder.stat()
    if not facts.st_mode & stat.S_ISGID and facts.st_gid != os.getegid():
        rights &= ~GROUP  # new files would be another group's
    os.umask(os.umask(0o077) & ~_with_entry(rights))


def shared_rights(folder: Path) -> int:
    """The mode bits that let everyone who may write in a folder read and write a file in it.

    No bits for others if the folder is sticky, as ``/tmp`` is: there everyone's files are their
    own. No bits at all if it has an access control list, which may say more than the mode and from
    which new files inherit their rights.
    """
    if not _IS_POSIX:
        return 0
    mode = folder.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and _has_access_list(folder):
        return 0
    is_for_others = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    return (GROUP if mode & stat.S_IWGRP else 0) | (OTHERS if is_for_others else 0)


def share_group(path: Path) -> bool:
    """Give an own file to the group of its folder; returns whether that group has it now."""
    group = path.parent.stat().st_gid
    if path.stat().st_gid != group:
        with suppress(OSError):  # this user is not a member of the group
            os.chown(path, -1, group)
    return path.stat().st_gid == group


def explain_denial(path: str | Path) -> str:
    """The file or folder that keeps this process from writing a file, its owner, and what helps.

    Empty if none is found.
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
        path: Absolute; a file, or a folder to write into. It and the folders above it may be
            missing.
    """
    # From the root down: a folder that cannot be entered hides all that is below it.
    for above in reversed(path.parents):
        if not os.path.lexists(above):
            break
        if not os.access(above, os.X_OK):
            return above
    nearest = next((above for above in path.parents if os.path.lexists(above)), path)
    # A file is written by replacing it, which needs rights on its folder: the folder is named
    # first.
    for obstacle in (path,) if path.is_dir() else (nearest, path):
        if os.path.lexists(obstacle) and _missing_rights(obstacle):
            return obstacle
    return None


def _with_entry(rights: int) -> int:
    """The rights, with the right to enter (x) for everyone who may read."""
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
