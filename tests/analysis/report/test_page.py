"""The page of a report, as it is read and as a browser shows it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from reported import FILES

from analysis.report import write_report


def test_the_page_has_its_parts_in_order(page):
    headings = re.findall(r"<h2[^>]*>([^<]*)<", page)
    assert headings == [
        "In short",
        "Before citing a number",
        "Performance",
        "Exclusions",
        "What was observed",
        "Models",
        "Check of the random structure",
        "With and without exclusions",
        "Residuals",
        "Random effects",
        "Agreement between participants",
        "Methods",
        "How to cite",
        "Files",
    ]


def test_with_a_bundle_the_task_stands_before_the_results_and_the_units_after(pictured):
    page = (pictured / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2[^>]*>([^<]*)<", page)
    assert headings[:6] == [
        "In short",
        "Before citing a number",
        "The task",
        "Performance",
        "Units",
        "Exclusions",
    ]
    contents = re.findall(r'<li><a href="#(\w+)">([^<]*)</a>', page)
    assert contents[:3] == [
        ("task", "The task"),
        ("performance", "Performance"),
        ("units", "Units"),
    ]
    assert all(f'<h2 id="{anchor}">{title}</h2>' in page for anchor, title in contents)
    assert len(page) < 3_000_000


def test_the_contents_leave_out_what_needs_a_bundle(page):
    assert not re.search(r"#(task|units|stimuli)\b", page)


def test_all_sentences_can_be_unfolded(page):
    folded = re.search(
        r"<summary>All results as sentences, to paste</summary>(.*?)</details>", page, re.S
    )
    text = re.sub(r"<[^>]+>", "", folded[1]).replace("\N{NO-BREAK SPACE}", " ")
    assert text.count("β = ") == 3 + 1
    assert text.count("OR = ") == 3 + 1


def test_percentages_have_no_space_on_the_page(page, analysis):
    assert not re.search("[0-9][ \N{NO-BREAK SPACE}]%", page)
    assert "95% CI" in page


def test_every_warning_and_remark_is_on_the_page(analysis, page):
    text = re.sub(r"<[^>]+>", "", page).replace("\N{NO-BREAK SPACE}", " ")
    assert analysis.kept.models.chosen.warnings
    for warning in analysis.kept.models.chosen.warnings:
        assert warning[1:] in text
    assert "A note." in text


def test_the_page_asks_for_nothing_from_outside(page):
    assert not re.search(r"<(?:script|link|iframe)\b|@import|\ssrc=\"(?!data:)|url\(", page)
    assert len(page) < 5_000_000


def test_the_page_gives_formula_versions_and_digests(analysis, page, found):
    assert "correct ~ condition + network + (1 | participant) + (1 | class_label)" in page
    assert f"numpy {found['software']['numpy']}" in page
    assert FILES["trials.csv"] in page


def test_names_from_the_data_are_text_and_not_markup(analysis, tmp_path):
    hostile = replace(analysis.export, study="<script>alert(1)</script>")
    write_report(replace(analysis, export=hostile), tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.fixture(scope="module")
def browser():
    from visitors import launched_browser

    with launched_browser("the report's page") as found:
        yield found


def violations(page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html']}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [1200, 420])
def test_the_page_is_accessible_and_no_wider_than_its_window(browser, pictured, scheme, width_px):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width_px, "height": 900})
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((pictured / "report.html").as_uri())
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width_px
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_the_check_of_the_page_can_fail(browser, report):
    context = browser.new_context()
    page = context.new_page()
    page.goto((report / "report.html").as_uri())
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    assert "image-alt" in str(violations(page))
    context.close()
