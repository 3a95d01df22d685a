"""What records lacked before it was written into them, filled in as they are read.

The files stay as they are: only what is read from them is complete.
"""

from collections.abc import Mapping
from typing import Any

from rps_bench.core.kinds import Kind
from rps_bench.engine.names import PLAIN

# The methods that there were before records carried `config.method_kind`. Complete for good: later
# methods write their kind themselves.
KINDS_BEFORE: Mapping[str, Kind] = {
    "dense": "dense",
    "small": "narrower",
    **dict.fromkeys(("stable_rps", "roast", "hashednet", "rpg"), "sharing"),
    **dict.fromkeys(("rand", "mag", "snip", "grasp", "synflow", "ltr", "mag_trained"), "pruning"),
}


def upgrade_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A checked record with everything that today's records hold.

    The kind of a method that is not known is null: nothing is guessed from its name.
    """
    config = record["config"]
    # Records of before there were other kernels than PyTorch's name none.
    known = {"method_kind": KINDS_BEFORE.get(config["method"]), "kernels": PLAIN}
    lacking = {key: value for key, value in known.items() if key not in config}
    return {**record, "config": {**config, **lacking}} if lacking else dict(record)
