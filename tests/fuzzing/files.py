"""Files that a stranger could have written: good ones with something in them changed."""

import copy
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

HOSTILE_TEXTS = (
    "", " ", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "../../etc/passwd", "/etc/passwd", "a\nb", "a|b", "a,b", '"', "'", "\\input{x}", "$x$", "%",
    "=1+1", "\x1b[31m", "\u202e", "\U0001f600", "x" * 5000, "\x00", "javascript:alert(1)", "nan",
    "[link](http://x)", "${HOME}", "{}",
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 1.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**63, 2**64, 10**400, -(10**400))

LEAVES: SearchStrategy[Any] = (
    st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.sampled_from(HOSTILE_TEXTS)
)
VALUES: SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(HOSTILE_TEXTS), inner, max_size=3)
    ),
    max_leaves=5,
)


def list_places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything within a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    inner = [path for key, child in items for path in list_places(child, (*place, key))]
    return [place, *inner] if place else inner


@st.composite
def changed(draw: DrawFn, value: Any) -> Any:
    """A JSON value with one to three of its parts replaced, left out or added to."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = list_places(value)
        if not places:
            break
        *path, last = draw(st.sampled_from(places))
        parent = value
        for key in path:
            parent = parent[key]
        what = draw(st.sampled_from(("replace", "replace", "remove", "add")))
        if what == "replace":
            parent[last] = draw(VALUES)
        elif what == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(HOSTILE_TEXTS))] = draw(VALUES)
    return value


@st.composite
def spoilt(draw: DrawFn, data: bytes) -> bytes:
    """A file's bytes, cut, or with some of them changed; its head more often than the rest."""
    content = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            break
        end = draw(st.sampled_from((8, min(len(content), 1500), len(content))))
        place = draw(st.integers(0, min(end, len(content)) - 1))
        what = draw(st.sampled_from(("byte", "byte", "cut", "text", "double")))
        if what == "byte":
            content[place] = draw(st.integers(0, 255))
        elif what == "cut":
            del content[place : place + draw(st.sampled_from((1, 10, 10**9)))]
        elif what == "text":
            piece = draw(
                st.sampled_from((b"null", b"-1", b"9" * 20, b"[", b"[" * 3000, b'"', b"1e9"))
            )
            content[place : place + len(piece)] = piece
        else:
            content[place:place] = content[place : place + 16]
    return bytes(content)


@st.composite
def changed_header(draw: DrawFn, data: bytes) -> bytes:
    """A safetensors file with its own header, a JSON table within the header, changed."""
    length = int.from_bytes(data[:8], "little")
    outer = json.loads(data[8 : 8 + length])
    inner = draw(changed(json.loads(outer["__metadata__"]["header"])))
    outer["__metadata__"]["header"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
