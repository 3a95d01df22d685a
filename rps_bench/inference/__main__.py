"""`python -m rps_bench.inference [option=value ...]`: time compressed models at inference."""

import argparse
import sys
from collections.abc import Sequence

from rps_bench.core.arguments import Parser
from rps_bench.core.output import command
from rps_bench.inference.options import read_options


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the options say and print the written files; return the exit status."""
    options = read_options(_parse(arguments))
    from rps_bench.inference.store import run_inference  # imports matplotlib

    for path in run_inference(options):
        print(path)
    return 0


def _parse(arguments: Sequence[str] | None) -> list[str]:
    parser = Parser(
        prog="python -m rps_bench.inference",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Time and memory of compressed models at inference, by way of running them:"
        " inference.csv,\ninference.json and plots/inference.* in the results folder. Use a quiet"
        " machine.",
        epilog="options and defaults:\n"
        "  arch=resnet20,vgg11    architectures\n"
        "  compression=1,10,100   compressions of the compressible weights\n"
        "  batch=1,128            images of a batch\n"
        "  threads=1              threads of the CPU\n"
        "  seconds=1              how long each batch is timed (five runs at least)\n"
        "  width=                 channels of the first convolution (the architecture's own)\n"
        "  image_size=32          height and width of the images\n"
        "  results_dir=results    where the files go",
    )
    parser.add_argument("options", nargs="*", help="key=value", metavar="option=value")
    words: list[str] = parser.parse_args(arguments).options
    return words


if __name__ == "__main__":
    sys.exit(main())
