from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.published import REFERENCE_FILE, published_for, read_published

RESULTS = Path(__file__).parents[3] / "results"
HEADER = "experiment,method,log10_compression,mean_best_top1,std_ddof1,seed1,seed2,seed3"


def _write(results_dir: Path, *lines: str) -> Path:
    path = results_dir / REFERENCE_FILE
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return results_dir


def test_only_networks_like_ours(tmp_path: Path) -> None:
    folder = _write(
        tmp_path,
        HEADER,
        "cifar10_lottery_vgg11_bn,mag,1.0,90.0,1.0,89.0,90.0,91.0",
        "cifar100_lottery_vgg11_bn,snip,0.5,70.0,0.5,69.5,70.0,",
        "tinyimagenet_vgg11_bn,mag,1.0,40.0,1.0,39.0,40.0,41.0",
        "cifar10_tiny_resnet18,mag,1.0,94.0,1.0,93.0,94.0,95.0",
    )
    rows = read_published(folder).round(6).to_numpy().tolist()
    assert rows == [
        ["cifar10", "vgg11", "mag", 10.0, 90.0, 1.0, 3],
        ["cifar100", "vgg11", "snip", 3.162278, 70.0, 0.5, 2],
    ]


def test_the_committed_numbers() -> None:
    published = read_published(RESULTS)
    assert len(published) == 2 * 5 * 13
    assert published["n"].unique().tolist() == [3]
    dense = published_for(published, "cifar10", "vgg11").query("method == 'snip'").iloc[0]
    assert dense["compression"] == 1.0
    assert dense["mean"] == pytest.approx((92.09 + 92.01 + 92.15) / 3, abs=5e-4)
    assert published_for(published, "cifar10", "resnet20").empty


def test_no_file_no_numbers(tmp_path: Path) -> None:
    published = read_published(tmp_path)
    assert published.empty
    assert published_for(published, "cifar10", "vgg11").empty


@pytest.mark.parametrize(
    "lines",
    [["a,b", "1,2"], [""], [HEADER, "cifar10_lottery_vgg11_bn,mag,ten,90,1,89,90,91"]],
    ids=["columns", "empty", "text"],
)
def test_another_file_is_named(tmp_path: Path, lines: list[str]) -> None:
    folder = _write(tmp_path, *lines)
    with pytest.raises(UserError, match=r"synflow_paper_top1\.csv is not the table of published"):
        read_published(folder)
