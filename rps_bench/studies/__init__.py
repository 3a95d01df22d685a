"""Studies of the theory by name: each asks a question and answers it by a CSV and one figure.

`python -m rps_bench.studies <name>` runs one.
"""

from dataclasses import fields
from typing import Any

from rps_bench.core.errors import UserError
from rps_bench.core.nearest import unknown_name
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.cache_lines import CacheLines
from rps_bench.studies.continuity import Continuity
from rps_bench.studies.effective_steps import EffectiveSteps
from rps_bench.studies.embeddings import Embeddings
from rps_bench.studies.imbalance import Imbalance
from rps_bench.studies.init_std import InitStd
from rps_bench.studies.inner_products import InnerProducts
from rps_bench.studies.linear_models import LinearModels
from rps_bench.studies.load import Load
from rps_bench.studies.stable_steps import StableSteps

__all__ = ["STUDIES", "build_study"]

STUDIES: dict[str, type[TheoryStudy]] = {
    "load": Load,
    "stable_steps": StableSteps,
    "init_std": InitStd,
    "continuity": Continuity,
    "inner_products": InnerProducts,
    "linear_models": LinearModels,
    "embeddings": Embeddings,
    "cache_lines": CacheLines,
    "imbalance": Imbalance,
    "effective_steps": EffectiveSteps,
}


def build_study(name: str, /, **options: Any) -> TheoryStudy:
    """A study from all its options; lists become tuples.

    Raises:
        UserError: The name or an option is unknown, an option is missing, or a value is out of
            range.
    """
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    known = [field.name for field in fields(STUDIES[name])]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of study {name}:", option, known)
    missing = [option for option in known if option not in options]
    if missing:
        raise UserError(f"study {name} needs a value for {_join(missing)}")
    frozen = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return STUDIES[name](**frozen)


def _join(names: list[str]) -> str:
    return ", ".join(names)
