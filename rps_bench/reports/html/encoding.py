"""From any text to text that a page shows and never runs.

Records are data from anywhere: a label may hold `</script>`, a reason `<img onerror=...>`. What
goes into the page goes through here.
"""

import base64
import hashlib
import html
import json
from typing import Any

# Inside a script element only `<` can end it; the other two keep the text out of any markup.
_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def escape(value: object) -> str:
    """Return `value` as HTML text, fit for element content and quoted attributes alike.

    Lone surrogates, which JSON allows and UTF-8 does not, become question marks.
    """
    return html.escape(str(value).encode("utf-8", "replace").decode(), quote=True)


def to_script_json(data: Any) -> str:
    """Return `data` as ASCII JSON that cannot end the script element it stands in.

    Raises `ValueError` for NaN and infinity: missing is null.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for character, replacement in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, replacement)
    return text


def hash_script(source: str) -> str:
    """Return the name of a script in a content security policy: `'sha256-...'`."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
