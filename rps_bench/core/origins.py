"""Where methods, networks, datasets and maps come from that are not this package's own.

A record and a run's identity tell it, and a compressed file names what it needs to be read.
"""

from dataclasses import dataclass
from typing import Any

MAP = "map"  # beside method, arch and dataset: a sharing map, which only files name


@dataclass(frozen=True)
class Origin:
    """What offers a name.

    Attributes:
        name: Of the file, the module or the distribution; never a folder.
        kind: file, module or package.
        version: Of an installed package.
        sha256: Of the code, where no version stands for it.
    """

    name: str
    kind: str
    version: str | None = None
    sha256: str | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What a result depends on: a file may be renamed, a package may not."""
        package = {} if self.version is None else {"package": self.name, "version": self.version}
        return package | ({} if self.sha256 is None else {"sha256": self.sha256})

    @property
    def described(self) -> dict[str, Any]:
        """The same for a record, with names."""
        return {"name": self.name, "kind": self.kind} | {
            key: value for key, value in self.identity.items() if key != "package"
        }

    def __str__(self) -> str:
        return f"plugin {self.name}"


ORIGINS: dict[tuple[str, str], Origin] = {}  # (method, arch, dataset or map; name) -> what gave it
