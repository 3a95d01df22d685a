"""What a run holds is gone when it ends, however it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Runs tiny runs one after the other and says what outlived each, without the collector's help.
WATCHED = """
import contextlib, gc, io, json, sys, weakref
from rps_bench.datasets import base
from rps_bench.jobs import work_through
from rps_bench.methods import METHODS
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.sweep import plan_runs

born = []
def watch(kind):
    make = kind.__init__
    def watched(self, *arguments, **options):
        make(self, *arguments, **options)
        born.append(weakref.ref(self))
    kind.__init__ = watched
watch(CompressedModel)
watch(base.Dataset)

def fail(self, model, probe):
    raise RuntimeError("no scores")

left, tensors = {}, []
gc.collect()
gc.disable()
scores = Magnitude.scores
for words in json.loads(sys.argv[1]):
    born.clear()
    Magnitude.scores = fail if "failing" in words else scores
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        work_through(plan_runs([w for w in words if w != "failing"], False).configs)
    alive = [type(ref()).__name__ for ref in born if ref() is not None]
    left[" ".join(words)] = [name for name in alive if name == "CompressedModel"], len(born)
    gc.collect()
    import torch
    tensors.append(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()))
print(json.dumps([left, tensors]))
"""

TINY = ["recipe=smoke", "recipe.epochs=1", "arch.width=2", "device=cpu", "precision=fp32"]
WARM_UP = [["method=stable_rps"], ["method=mag"], ["method=ltr", "compression=2"]]
RUNS = [
    *(["method=" + name] for name in ("dense", "small", "hashednet", "rand", "snip", "grasp")),
    ["method=synflow", "method.rounds=3"],
    *(["method=" + name, "compression=2"] for name in ("ltr", "mag_trained", "roast", "rpg")),
    ["method=stable_rps", "storage=int8"],
    ["method=stable_rps", "recipe.lr=1e30"],
    ["method=ltr", "compression=2", "recipe.lr=1e30"],
    ["method=mag", "failing"],
    ["method=mag", "evaluation_split=validation"],
    ["method=stable_rps", "dataset.imbalance=3"],
]


def test_no_network_and_no_data_outlive_their_run(tmp_path: Path) -> None:
    repository = Path(__file__).resolve().parents[1]
    words = [[*TINY, *changes, f"results_dir={tmp_path}"] for changes in [*WARM_UP, *RUNS]]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(words)],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    left, num_tensors = json.loads(done.stdout.splitlines()[-1])
    assert len(left) == len(words)
    assert {run: alive for run, (alive, _) in left.items() if alive} == {}
    assert all(num_born > 0 for _, num_born in left.values())
    assert len(set(num_tensors[len(WARM_UP) :])) == 1, num_tensors
