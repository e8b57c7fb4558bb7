"""The file of the observers' answers: what it holds, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stimuli.observers.table import Observation, dump_observations, read_observations

ROW = Observation(
    observer="peers",
    condition="maco",
    network="ViT",
    unit="class:3",
    class_label='=agate, or "moss"',
    base_image="848dbf0ebe1d19be7fe9.png",
    trial_id="t1",
    trial_kind="main",
    evidence=-0.25,
    p_favored=0.4375,
)
TEXT = dump_observations([ROW, ROW.model_copy(update={"trial_id": "t2"})])


def written(folder: Path, text: str) -> Path:
    path = folder / "observers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path):
    assert TEXT.splitlines()[0] == (
        "observer,condition,network,unit,class_label,base_image,trial_id,trial_kind,evidence,p_favored"
    )
    assert TEXT.splitlines()[1].endswith(",-0.250000,0.437500")
    first, second = read_observations(written(tmp_path, TEXT))
    assert first == ROW
    assert second.trial_id == "t2"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.437500\n", "1.5\n", r"row 2: p_favored = '1.5': .*less than or equal to 1"),
        ("0.437500\n", "nan\n", r"row 2: p_favored = 'nan': .*finite"),
        ("0.437500\n", "\n", r"row 2: p_favored = ''"),
        (",t2,", ",t1,", r"row 3: answers the same as row 2"),
        (",main,", ",mainly,", r"row 2: trial_kind = 'mainly'.*row 3"),
        ("p_favored\n", "p\n", r"no column 'p_favored'; python -m stimuli.observers writes"),
        ("p_favored\n", "p_favored,more\n", r"unknown column 'more'"),
        ("0.437500\n", "0.437500,7\n", r"row 2: more cells than columns"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, old, new, expected):
    assert old in TEXT
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(ValueError, match=expected) as error:
        read_observations(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_no_file_and_no_rows_are_said(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read \(No such file"):
        read_observations(tmp_path / "observers.csv")
    with pytest.raises(ValueError, match="no row below the header"):
        read_observations(written(tmp_path, TEXT.splitlines()[0] + "\n"))
    (tmp_path / "observers.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a CSV file in UTF-8"):
        read_observations(tmp_path / "observers.csv")


def test_the_table_is_light_and_the_observers_are_not(loaded_by):
    heavy = {"torch", "numpy"}
    assert not heavy & loaded_by("import stimuli.observers.table")
    assert heavy <= loaded_by("import stimuli.observers.panel")
