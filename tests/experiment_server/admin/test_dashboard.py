"""The researcher's pages, as somebody at a browser meets them."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path

from crowds import ARRIVED, add
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from researchers import PASSWORD, Researcher, actions
from sqlalchemy import select

from experiment_server.charts import WIDTH, timeline
from experiment_server.models import Audit, Backup, Participant, StudyState
from stimuli.schema import Response


def test_the_dashboard_counts_by_condition_and_outcome(researcher, running, clock):
    clock.advance(minutes=12)
    add(running, 3)
    add(running, 2, first=10, condition="olah", outcome="withdrew", finished_at=None)
    add(running, 1, first=20, late=True)
    here = {"outcome": "in_progress", "stage": "main", "finished_at": None}
    add(running, 1, first=30, **here)
    add(running, 1, first=31, **here, last_seen_at=ARRIVED - timedelta(minutes=30))
    add(running, 4, first=40, condition=None, list_index=None, outcome="failed_quiz")
    add(running, 5, first=50, kind="pilot")
    add(running, 6, first=60, kind="preview")
    found = researcher.get("/admin/counts").get_json()
    assert found["conditions"] == {
        "olah": {"withdrew": 2},
        "maco": {"completed": 3, "late": 1, "in_progress": 1, "silent": 1},
        "control": {},
    }
    assert found["not_dealt"] == {"failed_quiz": 4}
    assert (found["pilots"], found["previews"]) == ({"completed": 5}, 6)
    assert (found["recruiting"], found["median_duration_s"]) == (True, 540.0)
    page = researcher.get("/admin/").get_data(as_text=True)
    assert "9.0 min" in page
    assert "<b>20.00</b>pay per hour" in page  # 3.00 for nine minutes
    assert "5 pilots (5 completed) and 6 previews" in page
    assert not re.search(r"p0000000\w+", page)  # no row of anybody


def test_drop_out_is_told_page_by_page(researcher, running):
    none = {"condition": None, "list_index": None, "finished_at": None}
    start = {**none, "instruction_s": 0.0, "quiz_attempts": 0}
    add(running, 2)
    add(running, 1, first=10, **start, outcome="declined_consent", device={})
    add(running, 1, first=11, **start, outcome="unsuitable_device", stage="device")
    add(running, 1, first=12, **start, outcome="withdrew", stage="instructions")
    add(running, 1, first=13, **none, outcome="failed_quiz", stage="quiz")
    add(running, 1, first=14, **start, outcome="in_progress", stage="quiz")
    long_ago = ARRIVED - timedelta(minutes=21)
    add(running, 1, first=17, **none, outcome="in_progress", stage="main", last_seen_at=long_ago)
    gone = {"finished_at": None}
    add(running, 1, first=15, **gone, outcome="withdrew", stage="practice")
    add(running, 1, first=16, **gone, outcome="returned", stage="questions")
    page = researcher.get("/admin/").get_data(as_text=True)
    table = page[page.index("Drop-out by page") :]
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', table, re.DOTALL)[:8]
    numbers = {
        name: [int(one) for one in re.findall(r'class="number[^"]*">(\d+)<', cells)]
        for name, cells in rows
    }
    assert numbers == {
        "consent": [10, 0, 0, 1],
        "device": [9, 0, 0, 1],
        "instructions": [8, 0, 0, 1],
        "quiz": [7, 1, 0, 1],
        "practice": [5, 0, 0, 1],
        "main": [4, 0, 1, 0],
        "questions": [3, 0, 0, 1],
        "debrief": [2, 0, 0, 0],
    }


def test_accuracies_are_hidden_until_asked_for_and_looking_is_recorded(researcher, running):
    add(running, 4)
    add(running, 1, first=10, outcome="withdrew")
    add(running, 1, first=11, kind="pilot", condition="olah")
    page = researcher.get("/admin/").get_data(as_text=True)
    assert "That you looked is recorded" in page
    assert "50.0" not in page
    assert researcher.get("/admin/accuracy").status_code == 405
    assert actions(running) == ["login"]
    shown = researcher.post("/admin/accuracy").get_data(as_text=True)
    assert actions(running) == ["login", "accuracy"]
    rows = re.findall(
        r'<th scope="row">(\w+)</th><td>(\w+)</td><td class="number">(\d+)</td>'
        r'<td class="number">(\d+)</td><td class="number">([\d.]+) %',
        shown,
    )
    # In the small bundle VGG favors the left query in all trials and ViT the right one.
    assert rows == [("maco", "VGG", "4", "8", "100.0"), ("maco", "ViT", "4", "8", "0.0")]


def test_recruitment_is_paused_and_resumed(researcher, running, person):
    assert "Recruiting" in researcher.get("/admin/").get_data(as_text=True)
    assert researcher.post("/admin/recruitment", choice="pause").status_code == 303
    assert "Recruitment is paused" in researcher.get("/admin/").get_data(as_text=True)
    assert person().arrive().status_code == 403
    researcher.post("/admin/recruitment", choice="pause")  # as it was: no second entry
    researcher.post("/admin/recruitment", choice="resume")
    assert person().arrive().status_code == 200
    assert researcher.post("/admin/recruitment", choice="explode").status_code == 400
    assert actions(running) == ["login", "pause", "resume"]


def test_any_condition_can_be_previewed_and_never_counts(researcher, running):
    answer = researcher.post("/admin/preview", condition="control")
    assert (answer.status_code, answer.location) == (303, "/study")
    assert researcher.get("/study").status_code == 200
    with running.database.read() as session:
        [one] = session.scalars(select(Participant))
    assert (one.kind, one.condition) == ("preview", "control")
    assert researcher.get("/admin/counts").get_json()["total"] == {}
    assert researcher.post("/admin/preview", condition="nirvana").status_code == 400
    assert actions(running) == ["login", "preview"]


def test_the_export_comes_as_a_zip(researcher, running):
    add(running, 2)
    add(running, 1, first=9, kind="pilot")
    with researcher.post("/admin/export") as answer:
        assert answer.mimetype == "application/zip"
        assert "filename=tiny-export-20260301-1200.zip" in answer.headers["Content-Disposition"]
        archive = zipfile.ZipFile(io.BytesIO(answer.get_data()))
    names = {"export/codebook.json", "export/participants.csv", "export/trials.csv"}
    assert set(archive.namelist()) == names
    text = archive.read("export/trials.csv").decode()
    rows = [Response.model_validate(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert len(rows) == 14
    assert f"{1:024x}" not in text + archive.read("export/participants.csv").decode()
    with researcher.post("/admin/export", kind="pilot") as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.get_data()))
    book = json.loads(archive.read("export/codebook.json"))
    assert (book["participants"], book["files"]["participants.csv"]["rows"]) == ("pilot", 1)
    assert researcher.post("/admin/export", kind="all").status_code == 400
    assert actions(running) == ["login", "export", "export"]


def test_a_failed_export_is_an_error_page_and_no_half_a_file(researcher, running):
    add(running, 1)
    with running.database.write() as session:
        [person] = session.scalars(select(Participant))
        person.responses[0].trial_id = "t0"
    answer = researcher.post("/admin/export")
    assert answer.status_code == 500
    assert "none of the study" in answer.get_data(as_text=True)
    assert actions(running) == ["login"]


def test_the_payment_list_has_no_pseudonyms(researcher, running):
    add(running, 2)
    with researcher.post("/admin/payments") as answer:
        text = answer.get_data(as_text=True)
    assert f"{2:024x}" in text
    assert "p000000000002" not in text
    assert actions(running) == ["login", "payments"]


def test_a_backup_is_made_at_once(researcher, running):
    assert researcher.post("/admin/backup").status_code == 303
    page = researcher.get("/admin/").get_data(as_text=True)
    with running.database.read() as session:
        [made] = session.scalars(select(Backup))
    assert Path(made.path).is_file()
    assert made.path in page
    researcher.post("/admin/backup")
    assert "No backup was made" in researcher.get("/admin/").get_data(as_text=True)
    assert actions(running) == ["login", "backup"]


def test_a_changed_audit_log_is_told_on_every_page(researcher, running):
    researcher.post("/admin/accuracy")
    page = researcher.get("/admin/audit").get_data(as_text=True)
    assert "2 entries; the chain verifies" in page
    assert "accuracy" in page
    with running.database.write() as session:
        entry = session.scalars(select(Audit).where(Audit.action == "accuracy")).one()
        entry.action = "login"
    for path in ("/admin/", "/admin/audit"):
        assert "does not verify" in researcher.get(path).get_data(as_text=True)


def test_the_audit_log_can_be_leafed_through(researcher):
    for number in range(110):
        researcher.post("/admin/recruitment", choice=("pause", "resume")[number % 2])
    page = researcher.get("/admin/audit").get_data(as_text=True)
    older = re.search(r'href="(/admin/audit\?before=\d+)"', page).group(1)
    assert page.count("<tr>") == 101
    rest = researcher.get(older).get_data(as_text=True)
    assert rest.count("<tr>") == 12
    assert "Older entries" not in rest
    assert researcher.get("/admin/audit?before=x").status_code == 200


def test_pages_are_kept_by_nobody_and_need_no_inline_style(researcher, running):
    add(running, 1)
    for path in ("/admin/", "/admin/audit"):
        answer = researcher.get(path)
        page = answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<style|\sstyle=|<script|\son\w+=", page)


def test_the_commands(app, running):
    runner = app.test_cli_runner()
    assert "recruitment is paused" in runner.invoke(args=["pause"]).output
    with running.database.read() as session:
        assert not session.scalars(select(StudyState.recruiting)).one()
    assert "paused already" in runner.invoke(args=["pause"]).output
    assert "recruitment goes on" in runner.invoke(args=["resume"]).output
    done = runner.invoke(args=["audit"])
    assert re.search(r"command line  pause\n.*command line  resume\n2 entries", done.output)
    with running.database.write() as session:
        session.scalars(select(Audit)).first().actor = "nobody"
    done = runner.invoke(args=["audit", "--verify"])
    assert done.exit_code == 1
    assert "audit entry 1 (pause" in done.output


def test_the_password_command_makes_a_line_that_opens_the_dashboard(make_app, app):
    runner = app.test_cli_runner()
    done = runner.invoke(args=["admin-password"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    line = re.search(r"ADMIN_PASSWORD_HASH='(scrypt:.*)'", done.output).group(1)
    visitor = Researcher(make_app(admin_password_hash=SecretStr(line)))
    assert visitor.log_in().status_code == 303
    done = runner.invoke(args=["admin-password"], input="short\nshort\n")
    assert (done.exit_code, "at least 12 characters" in done.output) == (1, True)
    assert runner.invoke(args=["admin-password"], input="one\ntwo\n").exit_code != 0


moments = st.integers(0, 4 * 365 * 24 * 60).map(lambda n: ARRIVED + timedelta(minutes=n))


@given(st.lists(moments, min_size=1, max_size=60), st.data())
def test_the_chart_shows_everybody_within_its_frame(arrivals, data):
    completions = data.draw(st.lists(st.sampled_from(arrivals), max_size=20))
    completions = [moment + timedelta(minutes=9) for moment in completions]
    chart = timeline(sorted(arrivals), sorted(completions))
    for bars, people in ((chart.arrivals, arrivals), (chart.completions, completions)):
        assert sum(int(bar.label.split()[-2]) for bar in bars) == len(people)
        assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH + 0.01 for bar in bars)
        assert all(bar.height >= 0 and bar.y >= 0 for bar in bars)
        assert len(bars) <= 61
    assert 2 <= len(chart.ticks) <= 7


def test_without_arrivals_there_is_no_chart(researcher):
    assert timeline([], []) is None
    assert "Nobody has arrived yet" in researcher.get("/admin/").get_data(as_text=True)
