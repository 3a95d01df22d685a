"""Bad input ends in one clear line that names what is allowed, status 2, and does nothing."""

import re
from pathlib import Path

import pytest

from rps_bench.datasets import DATASETS
from rps_bench.methods import METHODS
from rps_bench.models import ARCHITECTURES
from tests.conftest import Command

VARIANTS = ("rand_erk", "stable_rps_matched", "stable_rps_unscaled")
METHOD_NAMES, ARCH_NAMES, DATASET_NAMES = (
    ", ".join(sorted(registry)) for registry in ((*METHODS, *VARIANTS), ARCHITECTURES, DATASETS)
)
RANGE = "must be a finite number >= 1"

CASES = [
    ("dataset=foo", f"dataset must be one of {DATASET_NAMES}, got foo"),
    ("arch=foo", f"arch must be one of {ARCH_NAMES}, got foo"),
    ("method=foo", f"method must be one of {METHOD_NAMES}, got foo"),
    ("recipe=foo", "recipe must be one of paper, paper_half, quick, smoke, got foo"),
    ("tracking=foo", "tracking must be one of none, trackio, wandb, got foo"),
    (
        "experiment=foo",
        "experiment must be one of cifar100_quick, .*, cifar10_longer, cifar10_quick, .*, "
        "demo, .*, got foo",
    ),
    ("foo=1", "unknown key foo; allowed: dataset, arch, method"),
    ("+foo=1", "unknown key foo; allowed: dataset, arch, method"),
    ("method.foo=1", "unknown key method.foo; allowed: method.name, method.init_std"),
    (
        "+method.foo=1",
        "option of method stable_rps: foo; allowed: init_std, repository_init",
    ),
    ("compression=0", RANGE),
    ("compression=-3", RANGE),
    ("compression=0.5", RANGE),
    ("compression=nan", RANGE),
    ("compression=inf", RANGE),
    ("compression=many", RANGE),
    ("compression=true", RANGE),
    ("compression=1e9", "the largest for this network is 270896"),
    ("method=dense compression=10", "dense has compression 1 only, got 10"),
    ("-m method=dense compression=10,100", "dense has compression 1 only, got 100"),
    ("method=roast compression=2000", "a compression of at most 1058.18, or shrink .* method.tile"),
    ("seed=-1", "seed must be a whole number from 0"),
    ("seed=1.5", "seed must be a whole number from 0"),
    ("seed=many", "seed must be a whole number from 0"),
    ("arch.width=0", "arch.width must be null or a whole number from 1"),
    ("device=cuda:99", "device cuda:99 is not there; allowed here: auto, cpu"),
    ("device=toaster", "device toaster is not there; allowed here: auto, cpu"),
    ("precision=fp8", "precision must be one of auto, fp32, bf16, got fp8"),
    ("engine=fast", "engine must be one of plain, products, native, auto, got fast"),
    ("evaluation_split=train", "evaluation_split must be one of test, validation"),
    ("dataset.imbalance=1", "dataset.imbalance must be null or a number above 1, got 1"),
    ("dataset.imbalance=much", "dataset.imbalance must be null or a number above 1, got much"),
    ("dataset.image_size=12", "must be null or one of 8, 16, 32 for digits, got 12$"),
    ("dataset.image_size=4", "must be null or one of 8, 16, 32 for digits, got 4$"),
    (
        "dataset.image_size=0 dataset=cifar10",
        "null or one of 1, 2, 4, 8, 16, 32 for cifar10, got 0$",
    ),
    ("dataset.image_size=-16", "must be null or one of 8, 16, 32 for digits, got -16$"),
    ("dataset.image_size=small", "must be null or one of 8, 16, 32 for digits, got small$"),
    ("dataset.image_size=16.0", "got 16.0; type 16$"),
    ("dataset.image_size=true", "null or one of 8, 16, 32 for digits, got true$"),
    (
        "arch=vgg11 dataset.image_size=8",
        "vgg11 needs images of 16x16 pixels or more, those of digits are 8x8; "
        "dataset.image_size can be 16, 32$",
    ),
    (
        "dataset=cifar10 dataset.image_size=2",
        "resnet20 needs images of 4x4 .* can be 4, 8, 16, 32$",
    ),
    ("results_dir=/dev/null/results", "results_dir /dev/null/results cannot be written"),
    ("results_dir=", "results_dir must be a non-empty text"),
    ("recipe.epochs=0", "recipe.epochs must be a whole number from 1 to 100000"),
    ("recipe.epochs=two", "recipe.epochs must be a whole number from 1 to 100000"),
    ("recipe.lr=-1", "recipe.lr must be a finite number above 0"),
    ("recipe.drops=3", "recipe.drops must be a list of epochs such as "),
    ("recipe.nesterov=1", "recipe.nesterov must be true or false"),
    ("recipe.name=../x", "cannot name a file"),
    ("method.scaling=foo", "one of none, gram, squared_mean, sum, mean, root_gram, got foo"),
    ("method.init_std=0", "method.init_std must be a finite number above 0"),
    ("method.init_std=[1]", "method.init_std must be a single value"),
    ("method=mag method.shuffle=all", "method.shuffle must be one of none, layer, got all"),
    ("method.shuffle=null", "method.shuffle must be one of none, layer"),
    ("method=mag method.reinit=1", "method.reinit must be true or false, got 1"),
    ("method=ltr method.reinit=true", "unknown key method.reinit; allowed: method.name"),
    ("method=mag_trained method.shuffle=layer", "unknown key method.shuffle; allowed: method.name"),
    ("method.reinit=true", "unknown key method.reinit; allowed: method.name"),
    ("method=rand method.density=full", "method.density must be one of uniform, erk, balanced"),
    ("method.repository_init=norm", "method.repository_init must be one of normal, uniform"),
    ("method=snip method.score_mode=foo", "method.score_mode must be one of train, eval, probe"),
    ("method=synflow method.rounds=0", "method.rounds must be a whole number from 1 up"),
    (
        "method=ltr method.rewind_steps=-1",
        "rewind_steps must be null or a whole number from 0",
    ),
    ("method=ltr recipe=smoke method.rewind_steps=6", "must be from 0 to 5, as this training has"),
    ("method=ltr method.level_fraction=1", r"method.level_fraction must be a number in \(0, 1\)"),
    ("method=mag_trained method.rewind=maybe", "method.rewind must be true or false"),
    (
        "method=stable_rps_trained method.retrainings=0",
        "retrainings must be null or a whole number",
    ),
    ("method=kmeans compression=33", "kmeans has compressions from 4 to 32, got 33"),
    ("method=kmeans compression=1", "kmeans has compressions from 4 to 32, got 1"),
    ("method=kmeans method.weighting=fisher", "weighting must be .*none, squared_gradients"),
    ("storage=int4", "storage must be one of exact, fp16, bf16, int8, got int4"),
    ("keep_model=1", "keep_model must be true or false"),
    ("keep_checkpoints=maybe", "keep_checkpoints must be true or false"),
    ("deterministic=yess", "deterministic must be true or false, got yess"),
    ("checkpoint_seconds=-1", "checkpoint_seconds must be null or a number >= 0, got -1"),
    ("checkpoint_seconds=often", "checkpoint_seconds must be null or a number >= 0"),
    ("threads=0", "threads must be null or a whole number from 1 to 1024"),
    ("gpus=0", r"gpus must be null or a list of GPU numbers such as \[0,1\], got 0"),
    ("runs_per_gpu=none", "runs_per_gpu must be a whole number from 1 to 1024"),
    ("processes=0", "processes must be auto or a whole number from 1 to 1024, got 0"),
    ("processes=2.0", "processes must be auto or a whole number from 1 to 1024, got 2.0; type 2$"),
    ("-m processes=1,2", "processes is for all runs of a command and can have one value only$"),
    ("processes=2 population=auto", "processes=2 shares runs out one by one; .* leave population"),
    ("population=0", "population must be auto or a whole number from 1 to 32, got 0"),
    ("population=many", "population must be auto or a whole number from 1 to 32, got many"),
    ("population=2.0", "population must be auto or a whole number from 1 to 32, got 2.0"),
    ("population=true", "population must be auto or a whole number from 1 to 32, got true"),
    ("population=33", "population must be auto or a whole number from 1 to 32, got 33"),
    ("population=[2]", "population must be auto or a whole number from 1 to 32"),
    ("population=null", "population must be auto or a whole number from 1 to 32"),
    ("tracking=wandb tracking.mode=fast", "tracking.mode must be one of online, offline"),
    ("tracking=wandb tracking.colour=red", "unknown key tracking.colour; allowed: tracking.name"),
    ("-m method=mag,foo", f"method must be one of {METHOD_NAMES}, got foo"),
    ("-m method=mag compression=10,0", RANGE),
    ("compression=1,10", "compression=1,10 has several values: to sweep over them, add -m"),
    ("seed=0 -m compression=0,1", RANGE),
    ("compression=[1", "no viable alternative"),
    ("~seed", "the key seed is missing"),
    ("--foo", "unrecognized arguments: --foo"),
    # A value of another kind than it seems, and what to type.
    ('recipe.epochs="2"', "from 1 to 100000, got '2'; type 2 without quotes$"),
    ('compression="10"', "got '10'; type 10 without quotes$"),
    ("seed=1.0", "got 1.0; type 1$"),
    ("recipe.epochs=1e2", "got 100.0; type 100$"),
    ("keep_model=yes", "got yes; type true$"),
    ('deterministic="false"', "got 'false'; type false without quotes$"),
    ("arch.width=None", "null or a whole number from 1 to 65536, got 'None'; type null$"),
    ("threads=none", "null or a whole number from 1 to 1024, got 'none'; type null$"),
    ("population=2.0", "got 2.0; type 2$"),
    ("dataset.imbalance=null evaluation_split=null", "test, validation, got null$"),
    ('method=ltr method.rewind_steps="5"', "got '5'; type 5 without quotes$"),
    ('method.init_std="0.04"', "got '0.04'; type 0.04 without quotes$"),
    ("precision='fp32\t'", r"got 'fp32\\t'; did you mean fp32\?$"),
    ("recipe.name=5", "recipe.name must be a non-empty text, got 5; as a text it is typed"),
    ("-m compression=[1,10]", "a sweep .-m. has its values without brackets: 1,10$"),
    ("method=dense compression=1.0000001", "compression 1 only, got 1.0000001$"),
    ("exclude={method:ltr}", "exclude must be a list, got {method:ltr}$"),
    # A name that is nearly one.
    ("compresion=10", r"exclude, plugins, experiment; did you mean compression\?$"),
    ("experimnt=demo", r"did you mean experiment\?$"),
    ("epochs=3", r"did you mean recipe.epochs\?$"),
    ("recipe.epoch=3", r"max_steps_per_epoch; did you mean recipe.epochs\?$"),
    ("recipe/epochs=3", r"did you mean recipe.epochs\?$"),
    ("method=stabel_rps", r", got stabel_rps; did you mean stable_rps\?$"),
    ("method=MAG", r"did you mean mag\?$"),
    ("method.scalling=gram", r"did you mean method.scaling\?$"),
    ("method.scaling=Gram", r"did you mean gram\?$"),
    ("dataset=cifar", r"did you mean cifar10\?$"),
    ("arch=resnet", r"did you mean resnet20\?$"),
    ("experiment=conf/experiment/demo.yaml", r"got conf/.*; did you mean demo\?$"),
    ("tracking=wandb tracking.projct=x", r"did you mean tracking.project\?$"),
    ("tracking.project=x", "allowed: tracking.name; tracking=trackio or wandb have it$"),
    ("hydra.launcher.n_jobs=4", "would do nothing here: type processes=4 for four processes"),
    ("hydra/launcher=processes", "is not needed here: type processes=4 for four processes"),
    ("-m hydra/launcher=joblib", "is not needed here: type processes=4 for four processes"),
    (
        "method=mag method.rewind_steps=1",
        "method=kmeans or ltr or mag_trained or stable_rps_trained have it$",
    ),
    ("exclude=[{metod:ltr}]", r"in exclude: metod; .*did you mean method\?$"),
    ("--multirn", r"did you mean --multirun\?$"),
    ("--epochs 3", "unrecognized arguments: --epochs; options are written key=value, without --$"),
    # Words that are no options.
    ("seed 1", r"an option is written key=value, .* got seed; did you mean seed=\?$"),
    ("method=mag, seed=1", "method=mag, ends in a comma: lists are written method=a,b without"),
    ("seed=1=2", "'seed=1=2' cannot be read .*; a value with such signs goes in quotes"),
    ("=3", "an option is written key=value, without spaces, got '=3'"),
    ("method=null", "method must be one of .*, got null$"),
    ("method=5", "method is chosen by name, got 5; leave it out for the default"),
    ("method.name=mag", "to choose it, type method=NAME"),
    # Folders.
    ("results_dir=~nobodyatall/x", "~nobodyatall is nobody's home; type ./~nobodyatall/x$"),
    ("data_root=None", "for none type null, or leave it out$"),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[case[0] for case in CASES])
def test_one_line_and_status_2(
    words: str, message: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*words.split(" ")) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("rps_bench: error: ")
    assert re.search(message, errors[0]), errors[0]
    assert list(tmp_path.iterdir()) == [], "something was written"


def test_missing_data_is_one_line(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "cifar10" / "plain_text").mkdir(parents=True)
    shard = tmp_path / "data" / "cifar10" / "plain_text" / "train-00000-of-00001.parquet"
    shard.write_bytes(b"PAR1 this is no parquet")
    words = ("dataset=cifar10", "recipe=smoke", "data_root=data", "results_dir=results")
    assert command(*words) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "parquet" in errors[0]
    assert not list((tmp_path / "results").rglob("*.json"))


def test_a_broken_record_is_named_and_kept(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("recipe=smoke", "arch.width=2") == 0
    (record,) = (tmp_path / "results" / "records").rglob("*.json")
    record.write_text("{")
    capsys.readouterr()
    assert command("recipe=smoke", "arch.width=2") == 2
    assert str(record.name) in capsys.readouterr().err
    assert record.read_text() == "{"
