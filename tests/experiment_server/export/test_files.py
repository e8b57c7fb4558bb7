"""The files of an export, replaced whole or not at all, and the lists beside them."""

from __future__ import annotations

import tracemalloc

import pytest
from crowds import ARRIVED, add, participants, responses
from exported import read, sqlite_only
from sqlalchemy import insert, select

from experiment_server import export as exporting
from experiment_server import models
from experiment_server.export import export
from experiment_server.identities import forget, payments


def test_an_earlier_export_is_replaced_whole(running, out, monkeypatch):
    add(running)
    export(running, out)
    before = (out / "participants.csv").read_text(encoding="utf-8")
    add(running, first=2)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "codebook", full_disk)
        with pytest.raises(OSError, match="No space"):
            export(running, out)
    assert (out / "participants.csv").read_text(encoding="utf-8") == before
    export(running, out)
    assert len(read(out / "participants.csv")) == 2
    assert [path.name for path in out.parent.iterdir()] == ["export"]


def test_other_files_are_never_replaced(running, out):
    out.mkdir(parents=True)
    (out / "thesis.tex").touch()
    with pytest.raises(ValueError, match="no earlier export: choose another --out"):
        export(running, out)
    export(running, out.parent / "export2")
    (out.parent / "export2" / "notes.txt").touch()
    with pytest.raises(ValueError, match="no earlier export"):
        export(running, out.parent / "export2")
    (out.parent / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        export(running, out.parent / "file")


@sqlite_only
def test_rows_stream(running, out):
    people = participants(2000)
    with running.database.write() as session:
        session.execute(insert(models.Participant), people)
        for person in people:
            session.execute(insert(models.Response), responses(running, person))
    tracemalloc.start()
    try:
        counts = export(running, out)
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert counts == {"trials.csv": 14_000, "participants.csv": 2000}
    assert peak_mb < 8  # held at once, the rows would be about 30


def test_the_payment_list_tells_nothing_of_the_data(running, out):
    add(running, 20)
    add(running, 1, first=30, outcome="withdrew")
    add(running, 1, first=31, outcome="withdrew", finished_at=None)
    add(running, 1, first=40, kind="preview")
    with running.database.write() as session:
        session.add(
            models.Bonus(
                participant_id=3, amount_minor=150, reason="r", state="paid", planned_at=ARRIVED
            )
        )
    out.mkdir(parents=True)
    path = out / "payments.csv"
    assert payments(running, path) == 22
    assert path.stat().st_mode & 0o777 == 0o600
    rows = {row["prolific_pid"]: row for row in read(path)}
    assert rows[f"{3:024x}"]["bonus_minor"] == "150"
    assert rows[f"{4:024x}"]["bonus_minor"] == "0"
    assert rows[f"{30:024x}"]["outcome"] == "completed"  # the work was done
    assert rows[f"{31:024x}"]["outcome"] == "withdrew"
    assert "p0000000" not in path.read_text(encoding="utf-8").replace("prolific", "")
    order = [int(row["prolific_pid"], 16) for row in read(path)]
    assert order != sorted(order)


def test_forgetting_empties_the_identities_alone(running, out, tmp_path):
    add(running, 3)
    before = export(running, out)
    assert forget(running, "researcher") == 3
    with running.database.read() as session:
        assert session.scalars(select(models.Identity)).all() == []
        [entry] = session.scalars(select(models.Audit))
    assert (entry.actor, entry.action, entry.detail) == ("researcher", "forget", {"identities": 3})
    assert export(running, out) == before
    if running.database.is_sqlite:
        for path in tmp_path.glob("study.sqlite*"):
            assert f"{2:024x}".encode() not in path.read_bytes()


def test_the_commands(app, running, out):
    add(running, 2)
    runner = app.test_cli_runner()
    done = runner.invoke(args=["export", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "trials.csv: 14 rows" in done.output
    (out / "more").touch()
    done = runner.invoke(args=["export", "--out", str(out)])
    assert (done.exit_code, "choose another --out" in done.output) == (1, True)
    done = runner.invoke(args=["payments", "--out", str(out.parent / "pay.csv")])
    assert (done.exit_code, len(read(out.parent / "pay.csv"))) == (0, 2)
    assert runner.invoke(args=["forget"], input="n\n").exit_code == 1
    done = runner.invoke(args=["forget", "--yes"])
    assert "2 Prolific ids forgotten" in done.output
    with running.database.read() as session:
        actions = list(session.scalars(select(models.Audit.action).order_by(models.Audit.id)))
    assert actions == ["export", "payments", "forget"]
