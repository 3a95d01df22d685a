"""`python -m rps_bench.studies <name> [option=value ...]`: run a study of the theory."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError, status_of
from rps_bench.core.nearest import no_pair
from rps_bench.core.output import command, show_error
from rps_bench.core.shown import show
from rps_bench.studies import STUDIES, build_study
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.store import draw_study, run_study
from rps_bench.sweep.hydra_errors import explained

ALL = "all"


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the given studies and print their files; return the exit status."""
    given = _parse(arguments)
    names = list(STUDIES) if given.name == ALL else [given.name]
    if given.name == ALL and given.options:
        raise UserError("options belong to one study: name it instead of all")
    status = 0
    for name in names:
        try:
            study = read_options(name, given.options)
            act = draw_study if given.draw_only else run_study
            for path in act(study, given.folder):
                print(path)
        except (UserError, OSError) as error:  # such as missing images; other studies still run
            show_error(error)
            status = max(status, status_of(error))
    return status


def read_options(name: str, overrides: Sequence[str] = ()) -> TheoryStudy:
    """A study with the values of conf/study/<name>.yaml, changed by `key=value` words.

    Raises:
        UserError: The study or an option is unknown, or a value is out of range.
    """
    path = config_folder() / "study" / f"{name}.yaml"
    values = OmegaConf.load(path) if name in STUDIES else OmegaConf.create()
    for word in overrides:
        if "=" not in word:
            raise no_pair(word, values)
        try:
            OmegaConf.from_dotlist([word])
        except YAMLError as error:
            reason = getattr(error, "problem", None) or type(error).__name__
            raise UserError(f"{show(word)} cannot be read as yaml ({reason})") from error
    with explained():
        values = OmegaConf.merge(values, OmegaConf.from_dotlist(list(overrides)))
        options: Any = OmegaConf.to_container(values, resolve=True)
    return build_study(name, **options)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    width = max(map(len, STUDIES))
    questions = "\n".join(f"  {name:{width}}  {s.question}" for name, s in STUDIES.items())
    parser = Parser(
        prog="python -m rps_bench.studies",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Check a part of the theory by running it: numbers as CSV and one figure.",
        epilog=f"studies:\n{questions}\n\nTheir options and defaults: conf/study/<name>.yaml.\n"
        "example: python -m rps_bench.studies load compressions=[1,10,100]",
    )
    parser.add_argument("name", help="a study, or all", choices=[*STUDIES, ALL], metavar="name")
    parser.add_argument("options", nargs="*", help="key=value", metavar="option=value")
    parser.add_argument(
        "--folder",
        type=to_path,
        default=Path("results/studies"),
        help="where the files go (default: %(default)s)",
    )
    parser.add_argument(
        "--draw-only", action="store_true", help="draw the figure of earlier numbers again"
    )
    return parser.parse_intermixed_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
