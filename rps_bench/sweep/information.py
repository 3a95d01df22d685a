"""Flags such as --help, --cfg and --info: Hydra's own answers, about the yaml files and plugins."""

import argparse
import os

from hydra._internal.utils import get_args_parser

from rps_bench.sweep.compose import CONFIG_NAME
from rps_bench.sweep.expansion import parse
from rps_bench.sweep.hydra_errors import explained
from rps_bench.sweep.plugin_words import add_plugins
from rps_bench.sweep.sources import find_sources, opened_hydra


def inform(arguments: argparse.Namespace) -> None:
    """Let Hydra answer, with the choices of plugins among the others."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    with explained():
        words = parse(arguments.overrides)
        sources = find_sources(arguments.config_dir, words)
        overrides, sources = add_plugins(arguments.overrides, words, sources)
        arguments.overrides = list(overrides)
        with opened_hydra(sources) as app:
            if arguments.help:
                app.app_help(CONFIG_NAME, get_args_parser(), arguments)
            elif arguments.hydra_help:
                app.hydra_help(CONFIG_NAME, get_args_parser(), arguments)
            elif arguments.cfg:
                options = {"package": arguments.package, "resolve": arguments.resolve}
                app.show_cfg(CONFIG_NAME, arguments.overrides, arguments.cfg, **options)
            elif arguments.shell_completion:
                app.shell_completion(CONFIG_NAME, arguments.overrides)
            else:
                app.show_info(arguments.info, CONFIG_NAME, arguments.overrides)
