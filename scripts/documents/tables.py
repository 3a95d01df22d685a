"""Every table of the documents by the name in its markers."""

from collections.abc import Callable
from functools import partial

from scripts.documents.accuracy import (
    write_accuracies,
    write_claims,
    write_kernels,
    write_longer,
    write_rounding,
    write_verdicts,
)
from scripts.documents.controls import write_controls
from scripts.documents.half_size import FOLDER as HALF_SIZE
from scripts.documents.half_size import write_half_size, write_rates
from scripts.documents.networks import write_networks
from scripts.documents.studies import write_studies
from scripts.documents.timings import write_inference, write_recovery, write_training

HALF_SIZE_CLAIMS = f"{HALF_SIZE}/claims"
TABLES: dict[str, Callable[[], str]] = {
    "verdicts": write_verdicts,
    "claims": write_claims,
    "half-size-verdicts": partial(write_verdicts, HALF_SIZE_CLAIMS),
    "half-size-claims": partial(write_claims, HALF_SIZE_CLAIMS),
    "accuracies": write_accuracies,
    "longer-training": write_longer,
    "rounding": write_rounding,
    "kernels": write_kernels,
    "tuned-rates": write_rates,
    "half-size": write_half_size,
    "controls": write_controls,
    "inference": write_inference,
    "studies": write_studies,
    "networks": write_networks,
    "training-speed": write_training,
    "recovery-speed": write_recovery,
}
