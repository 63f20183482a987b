"""The Report page: every format, a preview that the address names, and nothing for a damaged run but what is wrong."""

from __future__ import annotations

import pytest

from dashboard.components import report_files
from dashboard.services import reports
from dashboard.services.catalogue import list_entries
from dashboard.services.reports import pages_of, report_of
from dashboard.services.settings import read_settings
from tests.dashboard.conftest import Studio, said

BUTTONS = ["PDF", "HTML", "Markdown", "JSON", "CSV tables", "Parquet tables", "model card"]


def test_every_format_has_a_button(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Report")
    assert [button.label for button in app.get("download_button")] == [f"Download {name}" for name in BUTTONS]
    assert len(app.get("iframe")) == 1 and not app.code


@pytest.mark.parametrize(
    ("chosen", "start"), [("Markdown", "# demo: RLHF Studio report"), ("Model card", "---\n"), ("JSON", "{\n")]
)
def test_the_address_says_what_is_previewed(studio: Studio, chosen: str, start: str) -> None:
    studio.add_run()
    app = studio.open("Report", preview=chosen)
    assert not app.exception and app.code[0].value.startswith(start) and not app.get("iframe")


def test_the_pdf_is_previewed_page_by_page_with_words_for_who_cannot_see_it(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Report", preview="PDF")
    assert not app.exception and not app.get("iframe")
    shown = [image.proto.imgs[0] for image in app.get("image")]
    assert 3 < len(shown) <= 12 and f"Below are {len(shown)} pages: all of the PDF" in said(app)
    assert shown[0].alt.startswith(f"Page 1 of {len(shown)} of the PDF; here begin: Keep in mind; ")


def test_a_long_pdf_says_how_many_pages_are_not_shown_and_where_they_are(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.add_run()
    monkeypatch.setattr(report_files, "PAGES", 2)
    app = studio.open("Report", preview="PDF")
    (entry,) = list_entries(read_settings())
    every = len(pages_of(report_of(read_settings(), entry)))
    assert len(app.get("image")) == 2 < every
    assert f"Below are the first 2 of the PDF’s {every} pages" in said(app) and "Download PDF has the rest." in said(
        app
    )


def test_pages_are_drawn_when_they_are_looked_at_and_once_for_unchanged_facts(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, drawn = studio.add_run(), []
    draw = reports.render_pages
    monkeypatch.setattr(reports, "render_pages", lambda given: drawn.append(1) or draw(given))
    reports._drawn.cache_clear()
    studio.open("Report")
    assert not drawn
    (entry,) = list_entries(read_settings())
    first = pages_of(report_of(read_settings(), entry))
    assert pages_of(report_of(read_settings(), entry)) is first and len(drawn) == 1
    (run / "evaluation" / "reward_model.json").unlink()
    assert pages_of(report_of(read_settings(), entry)) is not first and len(drawn) == 2


def test_a_damaged_run_says_what_is_wrong(studio: Studio) -> None:
    run = studio.add_run()
    (run / "evaluation" / "scores.json").write_text("{")
    app = studio.open("Report")
    assert not app.exception and "scores" in app.error[0].value and not app.get("download_button")
