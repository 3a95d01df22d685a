"""The dashboard of a results folder, on this machine alone, until it is interrupted."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rps_bench.core.errors import UserError
from rps_bench.tracking.trackio.environment import require_package, settle_this_process
from rps_bench.tracking.trackio.runs import DEFAULT_PROJECT, FOLDER, check_project

HOST = "127.0.0.1"
# The order of the plots: what a run is judged by comes first.
PLOT_ORDER = "*_accuracy,*_loss,lr,final/*accuracy,final/*loss,final/true_compression,final/*"


def show_dashboard(results_dir: Path, project: str | None, port: int | None) -> int:
    """Serve the dashboard, print its address, and wait for an interrupt.

    Args:
        results_dir: The folder that holds ``trackio/``.
        project: The project to open; None: rps_bench, or the only one there.
        port: On the loopback address; None: the first free one from 7860.

    Raises:
        UserError: There is no such project, trackio is not installed, or the port is in use.
    """
    require_package()
    folder = results_dir / FOLDER
    with serve_dashboard(folder, choose_project(folder, project), port) as address:
        print(f"the dashboard of {results_dir} is at {address} (end: Ctrl-C)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


def choose_project(folder: Path, project: str | None) -> str:
    """The project to open.

    Raises:
        UserError: There is none, or not this one; the message names those that are there.
    """
    if project is not None:
        check_project(project, "--project")
    found = sorted(path.stem for path in folder.glob("*.db"))
    if not found:
        raise UserError(f"no runs under {folder}: runs with tracking=trackio are shown here")
    if project is None:
        project = found[0] if len(found) == 1 else DEFAULT_PROJECT
    if project not in found:
        raise UserError(f"--project must be one of {', '.join(found)}, got {project}")
    return project


@contextmanager
def serve_dashboard(folder: Path, project: str, port: int | None = None) -> Iterator[str]:
    """Serve a project in a thread of this process; yields its address.

    The address lets nobody change a run. Nothing is asked of a network.

    Raises:
        UserError: The port is in use.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_this_process(folder, scratch)
        os.environ.setdefault("TRACKIO_PLOT_ORDER", PLOT_ORDER)
        from trackio.launch import start_server
        from trackio.server import build_starlette_app_only

        app, _ = build_starlette_app_only()
        try:
            _, _, address, server = start_server(app, HOST, port)
        except OSError as error:
            raise UserError(f"--port {port} is in use, or may not be taken") from error
        try:
            # By default trackio draws running means, which bend short curves beyond recognition.
            yield f"{address}?project={project}&smoothing=0"
        finally:
            server.should_exit = True
            server.thread.join()
