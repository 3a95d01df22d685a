"""The options of the benchmark: words of its command line as checked values."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rps_bench.core import checks
from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.models import ARCHITECTURES

IMAGES = ("auto", "cifar10", "random")
MOST_STEPS = 390  # whole batches of an epoch of CIFAR-10
DESCRIPTION = (
    "Times training by each set of kernels against a conventional loop, whole sweeps, and the"
    " recovery of weights: ratios, images/s, shares of the machine's measured rates, memory. Use a"
    " quiet machine."
)


@dataclass(frozen=True)
class Options:
    """The measurements to make, and their length.

    Attributes:
        arch: Names of architectures.
        compression: Compressions of the compressible weights.
        device: auto, cpu, cuda or cuda:N.
        images: cifar10; random (uint8, as many and as large as CIFAR-10's); or auto: CIFAR-10 if
            its files are available. Times do not depend on the content of images.
        threads: Numbers of threads; None: one and as many as a run takes; on a GPU the latter.
        steps: Steps of a round; None: 6 on a CPU, 200 on a GPU.
        rounds: Timed rounds of each side; one more before them is a warm-up.
        sweeps: Rounds of whole sweeps by the command line; none are done on a GPU.
        workers: Processes of the conventional loop that load images.
        repeats: Calls over which medians of recovery times are taken.
        width: Channels of the first convolution; None for the architecture's own.
        output: The file to write; None: ``results/benchmarks/<hardware>.json``.
    """

    arch: tuple[str, ...] = ("resnet20", "vgg11")
    compression: tuple[float, ...] = (10.0,)
    device: str = "auto"
    images: str = "auto"
    threads: tuple[int, ...] | None = None
    steps: int | None = None
    rounds: int = 4
    sweeps: int = 3
    workers: int = 2
    repeats: int = 20
    width: int | None = None
    output: Path | None = None

    def __post_init__(self) -> None:
        checks.each("arch", self.arch, lambda key, name: checks.choice(key, name, ARCHITECTURES))
        checks.each("compression", self.compression, lambda _, c: checks.compression_ratio(c))
        checks.choice("images", self.images, IMAGES)
        for key in ("rounds", "repeats"):
            checks.whole_number(key, getattr(self, key), 1)
        for key in ("workers", "sweeps"):
            checks.whole_number(key, getattr(self, key), 0)
        for num_threads in self.threads or ():
            checks.whole_number("threads", num_threads, 1)
        if self.steps is not None:
            checks.whole_number("steps", self.steps, 1, MOST_STEPS)
        if self.width is not None:
            checks.whole_number("width", self.width, 1)


def read_options(words: Sequence[str] | None = None) -> Options:
    """The options of a command line (default: this process's).

    Raises:
        UserError: An option is unknown, or a value out of range.
    """
    default = Options()
    parser = Parser(prog="python -m scripts.bench", description=DESCRIPTION)
    parser.add_argument("--arch", help="resnet20,vgg11")
    parser.add_argument("--compression", help="10, or several: 10,100")
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda, cuda:N")
    parser.add_argument("--images", default=default.images, help=", ".join(IMAGES))
    parser.add_argument("--threads", type=int, nargs="+", help="1 2 (one, and all cores)")
    parser.add_argument("--steps", type=int, help="of a round (6; on a GPU 200)")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="timed, of each side")
    parser.add_argument("--sweeps", type=int, default=default.sweeps, help="rounds of sweeps (3)")
    parser.add_argument("--workers", type=int, default=default.workers, help="loading processes")
    parser.add_argument("--repeats", type=int, default=default.repeats, help="of each recovery")
    parser.add_argument("--width", type=int, help="channels of the first convolution")
    parser.add_argument("--output", type=to_path, help="results/benchmarks/<hardware>.json")
    values = vars(parser.parse_args(words))
    values["arch"] = tuple(values["arch"].split(",")) if values["arch"] else default.arch
    values["threads"] = tuple(values["threads"]) if values["threads"] else None
    values["compression"] = _read_numbers(values["compression"]) or default.compression
    return Options(**values)


def _read_numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(","))) if text else ()
    except ValueError:
        raise UserError(f"compression must be numbers such as 10,100, got {show(text)}") from None
