"""Words that a command line may be given: good ones, bad ones, and ones that nobody would write."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rps_bench.datasets import DATASETS
from rps_bench.inference.options import Options as InferenceOptions
from rps_bench.methods import METHODS
from rps_bench.models import ARCHITECTURES
from rps_bench.studies import STUDIES
from rps_bench.sweep.freeze import TOP_KEYS
from rps_bench.training.recipe import RECIPE_KEYS

GOOD = {
    "dataset": tuple(DATASETS),
    "arch": tuple(ARCHITECTURES),
    "method": tuple(METHODS),
    "recipe": ("paper", "quick", "smoke"),
    "tracking": ("none", "wandb"),
    "experiment": ("demo", "cifar10_quick", "null"),
    "compression": ("null", "1", "10", "3.16", "1e2"),
    "seed": ("0", "1", "9223372036854775807"),
    "evaluation_split": ("test", "validation"),
    "precision": ("auto", "fp32", "bf16"),
    "engine": ("plain", "products", "native", "auto"),
    "storage": ("exact", "fp16", "bf16", "int8"),
    "device": ("auto", "cpu"),
    "keep_model": ("true", "false"),
    "keep_checkpoints": ("true", "false"),
    "threads": ("null", "1"),
    "processes": ("auto", "1"),
    "gpus": ("null", "[0]", "[0,1]"),
    "population": ("auto", "1", "2"),
    "results_dir": ("results", "a/b", "../beside", "a b", "é", "${seed}", "~", "."),
    "exclude": ("[]", "[{method: ltr}]", "[{seed: [0, 1], compression: 10}]", "[{}]", "[[]]"),
    "arch.width": ("null", "2", "65536"),
    "dataset.imbalance": ("null", "10", "1e300"),
    "dataset.image_size": ("null", "32", "16", "8"),
    "method.init_std": ("0.04", "1e-320", "1e308"),
    "method.scaling": ("gram", "none"),
    "method.rounds": ("1", "100"),
    "method.rewind_steps": ("null", "0", "5"),
    "recipe.epochs": ("1", "2"),
    "recipe.drops": ("[]", "[1]", "[1,1]", "[[1]]"),
    "hydra.mode": ("MULTIRUN", "RUN"),
    "hydra/launcher": ("basic", "slurm"),
    "hydra.sweeper.params": ("{seed: '0,1'}", "{}", "null", "[]", "{seed: 'range(0,1000000000)'}"),
}  # fmt: skip

ODD_KEYS = (
    *TOP_KEYS, *(f"recipe.{key}" for key in RECIPE_KEYS), "method.name", "arch.name",
    "dataset.name", "method.tile", "method.score_mode", "dataset.validation_images",
    "tracking.mode", "tracking.project", "tracking.tags", "tracking.dir", "tracking.group",
    "hydra.run.dir", "hydra.sweep.dir", "hydra.job.chdir", "hydra.output_subdir", "hydra.verbose",
    "hydra.searchpath", "hydra.callbacks", "hydra.launcher", "hydra/sweeper", "hydra/job_logging",
    "hydra", "defaults", "dataset@arch", "recipe@method", "_target_", "method.method.method",
    "seed.seed", "..", ".", "",
)  # fmt: skip

ODD_VALUES = (
    "", "''", '""', " ", "null", "true", "1", "0", "-1", "1.0", "nan", "-nan", "inf", "-inf",
    ".nan", "1e999", "1_000", "0x10", "١٢", "9" * 400, "9" * 5000, "1e-400", "-0.0", "[", "]", "{",
    "}", "[]", "{}", "[1,[2,[3,{a:[4]}]]]", "{a:{b:{c:[]}}}", "{1:2}", "{true:1,null:2}",
    "{1:2,a:3}", "[" * 40, "[" * 2000, "{a:" * 200, "${seed}", "${compression}", "${oc.env:HOME}",
    "${oc.env:NOTHING}", "${oc.env:NOTHING,1}", "${oc.decode:'[1,2]'}", "${oc.create:{a:1}}",
    "${now:%Y}", "${hydra:job}", "${nothing}", "${.}", "${..seed}", "${seed", "$", "${",
    "\\${seed}", "${oc.dict.keys:method}", "${oc.select:seed,5}", "${method}", "${${seed}}",
    "${recipe.epochs}", "a\nb", "a\tb", "\x1b[31mred", "a'b", 'a"b', "a\\", "a=b", "=", "==", "#",
    "%s", "{}{}", "../../x", "x" * 300, "x/" * 200, "/dev/null/x", "/proc/self/x", "<script>", "é",
    "\u202e", "\U0001f600", "\udcff", "a,b", ",", "1,,2", "range(3)", "range(0,0)", "range(1,5,0)",
    "range(0,1,1e-12)", "range(0,1000000000)", "choice(1,2)", "choice()",
    "shuffle(range(1000000000))", "sort(3,1,2)", "tag(a,1)", "interval(0,1)", "glob(*)",
    "glob([a*],exclude=b)", "int(3.7)", "str([1,2])", "float(x)", "bool(maybe)", "extend_list(1)",
    "cast(1)", "json_str(1)", "f(", "f()", "-m", "!!python/object:os.system", "*a", "&a", "? a",
    "a: b",
)  # fmt: skip

FLAGS = (
    "-m", "--multirun", "--help", "-h", "--hydra-help", "--version", "--cfg", "job", "hydra", "all",
    "--resolve", "--info", "--package", "--run", "--config-path", "--config-name", "--config-dir",
    "--experimental-rerun", "-c", "-i", "-sc", "--shell-completion", "--", "-", "--foo", "-x=1",
    "--multirun=1", "@words", "install=bash",
)  # fmt: skip

# Whatever a system takes as an argument: no NUL, and lone halves of characters for other bytes.
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.text("abc019.,:=[]{}()'\"\\${}+~@/ \t-_", max_size=12)
NUMBERS = st.integers().map(str) | st.floats().map(str) | st.integers(0, 10**500).map(str)


def _good_word() -> SearchStrategy[str]:
    def value_of(key: str) -> SearchStrategy[str]:
        values = st.sampled_from(GOOD[key])
        return st.lists(values, min_size=1, max_size=3).map(lambda own: f"{key}={','.join(own)}")

    return st.sampled_from(sorted(GOOD)).flatmap(value_of)


def _odd_word() -> SearchStrategy[str]:
    keys = st.sampled_from((*ODD_KEYS, *GOOD)) | TEXTS
    values = st.sampled_from(ODD_VALUES) | TEXTS | NUMBERS
    nested = st.recursive(
        st.sampled_from(ODD_VALUES[:40]) | NUMBERS,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda own: f"[{','.join(own)}]")
            | st.dictionaries(TEXTS, inner, max_size=2).map(
                lambda own: "{" + ",".join(f"{k}:{v}" for k, v in own.items()) + "}"
            )
        ),
        max_leaves=6,
    )
    prefix = st.sampled_from(("", "", "", "+", "++", "~"))
    return st.builds(lambda p, k, v: f"{p}{k}={v}", prefix, keys, values | nested)


def _stays_inside(word: str) -> bool:
    """Whether no folder outside the tests' own is named, which root could really make."""
    key, _, value = word.partition("=")
    is_folder = any(name in key for name in ("dir", "path", "to", "."))
    return not (is_folder and value.strip(" '\"").startswith("/") and "/dev/null" not in value)


ODD_WORDS = (_odd_word() | TEXTS | st.sampled_from(FLAGS)).filter(_stays_inside)

# Mostly good, or nearly every line would end at its first word.
RUN_LINES = st.one_of(
    st.lists(_good_word(), max_size=4),
    st.lists(_good_word(), max_size=4).map(lambda words: ["-m", *words]),
    st.tuples(st.lists(_good_word(), max_size=2), ODD_WORDS).map(lambda two: [*two[0], two[1]]),
    st.tuples(st.lists(_good_word(), max_size=2), ODD_WORDS).map(
        lambda two: ["-m", *two[0], two[1]]
    ),
    st.lists(ODD_WORDS, max_size=3),
)


def _key_lines(keys: tuple[str, ...], good: tuple[str, ...]) -> SearchStrategy[list[str]]:
    """Lines of ``key=value`` words for a door with a few keys of its own."""
    values = st.sampled_from((*good, *ODD_VALUES)) | TEXTS | NUMBERS
    known = st.builds(lambda k, v: f"{k}={v}", st.sampled_from(keys), values)
    return st.lists((known | known | ODD_WORDS).filter(_stays_inside), max_size=4)


EXPORT_LINES = _key_lines(
    ("run_id", "format", "storage", "results_dir", "to"),
    ("digits-resnet20-mag-10x", "compressed", "dense", "onnx", "int8", "results", "model"),
)
INFERENCE_LINES = _key_lines(
    tuple(InferenceOptions.__dataclass_fields__), (*ARCHITECTURES, "1,10", "1", "0.5", "results")
)
STUDY_KEYS = tuple(
    sorted({key for study in STUDIES.values() for key in study.__dataclass_fields__})
)
STUDY_LINES = st.tuples(
    st.sampled_from((*STUDIES, "all", "other", "")),
    _key_lines((*STUDY_KEYS, "name", "self", "a.b"), ("[1,10]", "3", "0.5", "digits", "true")),
).map(lambda two: [two[0], *two[1]])
REPORT_LINES = st.lists(
    st.sampled_from(
        ("--only", "table", "claims", "html", "figures", "results", "absent", "a/b", "--")
    )
    | TEXTS.filter(lambda text: not text.startswith("/")),
    max_size=4,
)
