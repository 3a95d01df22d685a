"""Text from records stays text, in markup and inside a script element."""

import base64
import hashlib
import json

import pytest

from rps_bench.reports.html.encoding import escape, hash_script, to_script_json


def test_markup_is_escaped_for_elements_and_attributes() -> None:
    assert escape("<b a='1' c=\"2\">&</b>") == (
        "&lt;b a=&#x27;1&#x27; c=&quot;2&quot;&gt;&amp;&lt;/b&gt;"
    )
    assert escape(3) == "3"


def test_text_that_no_file_can_hold_is_replaced() -> None:
    assert escape("a\ud800b") == "a?b"


def test_json_cannot_end_its_script_and_reads_back() -> None:
    data = {"</script>": ["<!--", "&amp;", "\u2028", "\ud800", 1.5, None]}
    text = to_script_json(data)
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == data


def test_json_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_script_json([float("nan")])


def test_the_hash_of_a_script_is_the_browsers() -> None:
    digest = base64.b64encode(hashlib.sha256(b"alert(1)").digest()).decode()
    assert hash_script("alert(1)") == f"'sha256-{digest}'"
