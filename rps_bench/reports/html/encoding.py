"""Escaping: any text becomes text that a page shows and never runs.

Records are untrusted data: a label may hold `</script>`, a reason `<img onerror=...>`. All values
that enter the page pass through here.
"""

import base64
import hashlib
import html
import json
from typing import Any

# Only `<` can end a script element; the other two are escaped so that no markup is left at all.
_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def escape(value: object) -> str:
    """`value` as HTML text, safe in element content and quoted attributes alike.

    Lone surrogates, which JSON allows and UTF-8 does not, become question marks.
    """
    return html.escape(str(value).encode("utf-8", "replace").decode(), quote=True)


def to_script_json(data: Any) -> str:
    """`data` as ASCII JSON that cannot end the script element around it.

    Raises `ValueError` for NaN and infinity: missing values are null.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for character, replacement in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, replacement)
    return text


def hash_script(source: str) -> str:
    """A script's source expression in a content security policy: `'sha256-...'`."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
