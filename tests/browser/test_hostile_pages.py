"""Hostile texts in the browser: shown letter by letter where they belong, nothing runs, nothing is asked for elsewhere."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from rlhf_core.data.io import write_json, write_jsonl
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from rlhf_core.visible import visible
from tests.browser.conftest import Dashboard, judged_so_far, served, start_judging
from tests.browser.settling import press, settle
from tests.hostile import ELSEWHERE, FLAG, HUGE, hostile_texts
from tests.run_factory import CONTENDERS, write_run
from tests.vote_factory import completion

pytestmark = pytest.mark.browser
SMALL = [one.text for one in hostile_texts() if one.family not in HUGE]
NAMES = (
    ":red[kind] :material/check_circle: **x**",
    f"<img src=x onerror={FLAG}> $x$ :smile: &amp;",
    "=1+1 [a](b) ~c~ =====",
)
INSTRUCTIONS = (
    f"# Do\n\n![seen]({ELSEWHERE}.png) ![too][1] <img src={ELSEWHERE}.png> <script>{FLAG}</script> "
    f"[press](javascript:{FLAG})\n\n[1]: {ELSEWHERE}.png"
)
LEFT = "() => [...document.querySelectorAll('[data-testid=stText]')].map(text => text.textContent)"
SPILLS = """() => [...document.querySelectorAll('[class*=st-key-judge-panel]')].filter(panel =>
    panel.scrollWidth > panel.clientWidth + 1 || getComputedStyle(panel).overflowY === 'visible').length"""


def ranked(texts: list[str], answers: int, **design: object) -> TaskSpec:
    """A task to judge so many of the texts at a time, the first of them the prompt too."""
    starts = range(0, len(texts) - len(texts) % answers, answers)
    rows = [
        [completion(f"p{start}", f"writer {n}", texts[start + n], texts[start]) for start in starts]
        for n in range(answers)
    ]
    return build_task("trial", rows, INSTRUCTIONS, 0, TaskDesign(**design))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard on a run whose prompts, answers, scorers and categories are hostile."""
    with served(tmp_path_factory.mktemp("hostile")) as dashboard:
        run = write_run(dashboard.root / "runs" / "demo")
        for shift, name in enumerate(CONTENDERS):
            answers = [*SMALL[shift:110], *SMALL[:shift]]
            rows = [completion(f"p{n:02d}", name, text, SMALL[n]) for n, text in enumerate(answers)]
            write_jsonl(run / "completions" / f"{name}.jsonl", rows)
        for name in ("scores", "comparisons"):
            path = run / "evaluation" / f"{name}.json"
            content = json.loads(
                path.read_text().replace("profanity-check", NAMES[0]).replace('"helpful"', json.dumps(NAMES[1]))
            )
            write_json(path, content)
        dashboard.start()
        yield dashboard


@pytest.fixture
def watched(page: Page, hostile: Dashboard) -> Iterator[Page]:
    """A page on which nothing of the hostile texts may run, ask for an address or open a dialog."""
    went_wrong: list[str] = []
    allowed = (hostile.address, hostile.address.replace("http", "ws"), "data:", "blob:", "about:")
    page.on("request", lambda request: request.url.startswith(allowed) or went_wrong.append(request.url))
    page.on("dialog", lambda dialog: (went_wrong.append(dialog.message), dialog.dismiss()))
    yield page
    assert [frame.evaluate("window.ran") for frame in page.frames] == [None] * len(page.frames)
    assert went_wrong == []


@pytest.mark.parametrize("count", [117, pytest.param(990, marks=pytest.mark.slow)])
def test_what_is_shown_is_the_text(watched: Page, hostile: Dashboard, count: int) -> None:
    """Nine texts an item, as Streamlit's `st.text` trims them: common indentation and white space at the ends."""
    texts = SMALL[:count]
    with closing(hostile.votes) as store:
        task = store.ensure_task(ranked(texts, 9, form="ranking"))
    start_judging(watched, hostile.address, task)
    expected = {tuple(sorted(map(trimmed, texts[n : n + 9]))) for n in range(0, count, 9)}
    for _ in range(count // 9):
        prompt, *answers = watched.evaluate(LEFT)
        assert tuple(sorted(answers)) in expected and prompt in answers
        expected.remove(tuple(sorted(answers)))
        assert watched.evaluate(SPILLS) == 0
        assert watched.evaluate("document.documentElement.scrollWidth <= innerWidth")
        press(watched, "s")
        watched.wait_for_function(
            "([before, js]) => eval(js)().join() !== before", arg=[",".join([prompt, *answers]), LEFT]
        )
    assert not expected


def test_instructions_and_criteria_are_shown_and_fetch_nothing(watched: Page, hostile: Dashboard) -> None:
    with closing(hostile.votes) as store:
        task = store.ensure_task(ranked(SMALL[:4], 2, criteria=NAMES))
    watched.goto(f"{hostile.address}/judge?task={task}")
    expect(watched.get_by_text("<script>")).to_be_visible()
    assert watched.locator("[data-testid=stMain] img").count() == 0
    links = watched.locator("[data-testid=stMain] a").evaluate_all("links => links.map(link => link.href)")
    assert links and not [link for link in links if link.startswith("javascript")]
    start_judging(watched, hostile.address, task)
    for number, name in enumerate(NAMES):
        caption = watched.get_by_test_id("stCaptionContainer").filter(has_text="Which is better")
        expect(caption).to_have_text(f"Which is better: {name}? ({number + 1} of 3)")
        assert caption.locator("img, a, del, .katex, [data-testid=stIconMaterial]").count() == 0
        press(watched, "1")
    expect(judged_so_far(watched, 1, 2)).to_be_visible()


def test_megabytes_are_shown_in_part_and_judged_in_seconds(watched: Page, hostile: Dashboard) -> None:
    with closing(hostile.votes) as store:
        task = store.ensure_task(ranked([make() for make in HUGE.values()], 2))
    start = time.monotonic()
    start_judging(watched, hostile.address, task)
    for judged in (1, 2):
        press(watched, "1")
        expect(judged_so_far(watched, judged, 2)).to_be_visible()
    assert time.monotonic() - start < 40  # three screens and two votes; whole, each screen alone takes up to 16 s
    press(watched, "u")
    expect(judged_so_far(watched, 1, 2)).to_be_visible()
    watched.get_by_role("button", name="Show all").last.click()
    watched.wait_for_function(f"() => ({LEFT})().some(text => text.length > 400000)")
    press(watched, "2")
    expect(judged_so_far(watched, 2, 2)).to_be_visible()
    with closing(hostile.votes) as store:
        assert len(store.votes(task)) == 2


def test_every_other_page_shows_a_hostile_run(watched: Page, hostile: Dashboard) -> None:
    for name in ("overview", "training", "toxicity", "compare", "results", "report"):
        watched.goto(hostile.address if name == "overview" else f"{hostile.address}/{name}")
        watched.locator("[data-testid=stMain] h1").wait_for()
        settle(watched)
        assert watched.get_by_text("cannot be shown").count() == 0, name
        if name == "toxicity":
            expect(watched.get_by_role("radio", name=NAMES[0], exact=True)).to_be_visible()
    inside = watched.frame_locator("iframe").last
    inside.locator("summary").filter(has_text="every contender").click()
    shown = inside.locator("td p.text").all_text_contents()
    assert {visible(text) for text in SMALL[:110]} <= set(shown)


def test_tables_offer_no_file_of_their_own(watched: Page, hostile: Dashboard) -> None:
    """Their CSV is Streamlit's and keeps formulas; the Report page's are safe."""
    watched.goto(f"{hostile.address}/toxicity")
    table = watched.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.hover()
    expect(watched.get_by_test_id("stElementToolbar").first).to_be_attached()
    assert watched.get_by_role("button", name="Download as CSV").count() == 0


def trimmed(text: str) -> str:
    """A text as `st.text` shows it."""
    return textwrap.dedent(visible(text)).strip()
