"""The W&B dashboard: build and check its views, or save them with --publish.

python scripts/wandb_dashboard.py [results_dir] [--project P] [--group SWEEP] [--publish]
"""

import sys

from rps_bench.reports.dashboard.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["views", *sys.argv[1:]]))
