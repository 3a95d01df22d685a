"""Blocks of a document between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``."""

import re
from collections.abc import Mapping

_BLOCK = re.compile(r"<!-- begin: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end: (?P=name) -->", re.S)
_MARKER = re.compile(r"<!-- (?:begin|end): ")


def find_blocks(document: str) -> dict[str, str]:
    """What stands in each block of a document, by the block's name.

    Raises:
        ValueError: A marker without its partner.
    """
    blocks = {match["name"]: match["text"] for match in _BLOCK.finditer(document)}
    if 2 * len(blocks) != len(_MARKER.findall(document)):
        raise ValueError("every block needs its two markers and a name of its own")
    return blocks


def fill_blocks(document: str, texts: Mapping[str, str]) -> str:
    """The document with the text of every block in its place.

    Raises:
        ValueError: A block that no text is for, or a marker without its partner.
    """
    unknown = sorted(set(find_blocks(document)) - set(texts))
    if unknown:
        raise ValueError(f"no table is called {unknown[0]}; there are {', '.join(texts)}")
    return _BLOCK.sub(lambda match: _write_block(match["name"], texts[match["name"]]), document)


def _write_block(name: str, text: str) -> str:
    return f"<!-- begin: {name} -->\n{text}\n<!-- end: {name} -->"
