"""The Report page: every format, a preview that the address names, and nothing for a damaged run but what is wrong."""

from __future__ import annotations

import pytest

from tests.dashboard.conftest import Studio

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


def test_a_damaged_run_says_what_is_wrong(studio: Studio) -> None:
    run = studio.add_run()
    (run / "evaluation" / "scores.json").write_text("{")
    app = studio.open("Report")
    assert not app.exception and "scores" in app.error[0].value and not app.get("download_button")
