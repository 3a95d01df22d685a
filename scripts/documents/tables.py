"""Every table of the documents by the name in its markers."""

from collections.abc import Callable

from scripts.documents.accuracy import (
    write_accuracies,
    write_claims,
    write_kernels,
    write_longer,
    write_rounding,
    write_verdicts,
)
from scripts.documents.half_size import write_half_size, write_rates
from scripts.documents.networks import write_networks
from scripts.documents.studies import write_studies
from scripts.documents.timings import write_inference, write_recovery, write_training

TABLES: dict[str, Callable[[], str]] = {
    "verdicts": write_verdicts,
    "claims": write_claims,
    "accuracies": write_accuracies,
    "longer-training": write_longer,
    "rounding": write_rounding,
    "kernels": write_kernels,
    "tuned-rates": write_rates,
    "half-size": write_half_size,
    "inference": write_inference,
    "studies": write_studies,
    "networks": write_networks,
    "training-speed": write_training,
    "recovery-speed": write_recovery,
}
