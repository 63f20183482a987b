"""Addresses of pages, for links that are sent to others or stand in tables."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from dashboard.services import wording


def page_address(url: str | None, page: str, **query: str) -> str:
    """Return the address of a page of this dashboard, `url` being where the page that asks is seen; None in tests alone."""
    seen = urlsplit(url or "http://127.0.0.1:8501/")
    return f"{seen.scheme}://{seen.netloc}{seen.path.rpartition('/')[0]}/{page}?{urlencode(query)}"


def pair_label(baseline: str, contender: str) -> str:
    """Return what the Compare page calls a pair of contenders."""
    return f"{wording.contender_name(contender)} against {wording.contender_name(baseline)}"


def answers_address(url: str | None, run: str, pair: tuple[str, str], prompt_id: str) -> str:
    """Return where both answers to a prompt are read; `run` is the run's label, `pair` its baseline and contender."""
    return page_address(url, "compare", **{"run": run, "compare-pair": pair_label(*pair), "compare-prompt": prompt_id})
