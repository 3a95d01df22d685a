"""A run and its reports write into the results folder only, and tell nothing of who ran them."""

import getpass
import os
import platform
import tempfile
from pathlib import Path

import pytest

from rps_bench.reports.__main__ import main as report
from tests.conftest import Command
from tests.fuzzing.doors import _writes

TOKEN = "hf_ThisIsASecretTokenOfSomebody"
TINY = ("recipe=smoke", "recipe.max_steps_per_epoch=2", "arch.width=2", "device=cpu")


def test_nothing_is_written_elsewhere_and_no_secret_is_told(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home" / "somebody-by-name"
    home.mkdir(parents=True)
    for name in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GIT_ASKPASS"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("HOME", str(home))
    results = home / "results"

    def crash(*_: object) -> None:
        raise RuntimeError(f"no such thing in {home}/private")

    monkeypatch.setattr("rps_bench.methods.pruning.magnitude.Magnitude.scores", crash)
    with _writes() as written:
        words = ("-m", "method=rand,mag", "compression=4", "keep_model=true")
        assert command(*TINY, *words, f"results_dir={results}") == 1
        assert report([str(results), "--only", "table", "claims", "html"]) == 0
    own = (f"{home}/results", f"{tempfile.gettempdir()}/torchinductor_")  # PyTorch makes the last
    elsewhere = [path for path in written if not path.startswith(own)]
    assert elsewhere == []
    names = (platform.node(), getpass.getuser())
    secrets = [TOKEN, str(home), "somebody-by-name", *(name for name in names if len(name) > 5)]
    files = [path for path in results.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        content = path.read_bytes()
        told = [secret for secret in secrets if secret.encode() in content]
        assert told == [], f"{os.path.relpath(path, results)} tells {told}"
    assert TOKEN not in "".join(capfd.readouterr())
