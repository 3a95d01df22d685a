"""Parts of a resumed offline run."""

from pathlib import Path

from rps_bench.tracking.weights_and_biases.epochs_written import EpochsWritten


def part(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def test_a_later_part_knows_how_far_the_earlier_ones_came(tmp_path: Path) -> None:
    first = EpochsWritten(part(tmp_path, "offline-run-20261120_120000-mag-s0"))
    assert first.last_before == 0
    first.note(1)
    first.note(2)
    EpochsWritten(part(tmp_path, "offline-run-20261120_120001-other-mag-s0")).note(9)
    second = EpochsWritten(part(tmp_path, "offline-run-20261120_130000-mag-s0"))
    assert second.last_before == 2
    second.note(5)
    third = EpochsWritten(part(tmp_path, "offline-run-20261120_140000-mag-s0"))
    assert third.last_before == 5


def test_parts_that_say_nothing_or_lie_online_count_for_nothing(tmp_path: Path) -> None:
    (part(tmp_path, "offline-run-20261120_120000-a") / "last_epoch").write_text("")
    (part(tmp_path, "run-20261120_120000-a") / "last_epoch").write_text("7")
    assert EpochsWritten(part(tmp_path, "offline-run-20261120_130000-a")).last_before == 0
    assert EpochsWritten(part(tmp_path, "run-20261120_140000-a")).last_before == 0
    EpochsWritten(tmp_path / "missing").note(1)
