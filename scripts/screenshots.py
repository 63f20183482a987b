"""Take the pictures of the README and the docs from the pages themselves, on the recorded run.

python scripts/screenshots.py            # or make screenshots
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-background-networking"]
TALLEST = 1600  # pixels


@dataclass(frozen=True)
class Picture:
    """A page as the docs show it: its address, what it waits for, the theme, the width in pixels, a button to press first."""

    name: str
    address: str
    waits_for: str
    scheme: str = "light"
    width: int = 1280
    presses: str = ""


PICTURES = (
    Picture("overview", "/", "Can I trust it?"),
    Picture("training", "/training", "Reward against drift"),
    Picture("training-dark", "/training?group-ppo=Policy", "Reward against drift", scheme="dark"),
    Picture("compare", "/compare", "Compare"),
    Picture("judge", "/judge", "Start judging", presses="Start judging"),
    Picture("results", "/results", "Results"),
    Picture("toxicity", "/toxicity", "Toxicity"),
    Picture("report", "/report", "Report"),
    Picture("phone", "/", "Can I trust it?", width=390),
)


def main() -> None:
    """Serve an empty run root with the recorded run beside it, and take every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder for the PNG files")
    parser.add_argument("only", nargs="*", help=f"of {', '.join(p.name for p in PICTURES)}; all without")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, _served(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for picture in PICTURES:
            if not asked.only or picture.name in asked.only:
                page = browser.new_page(viewport={"width": picture.width, "height": 900}, color_scheme=picture.scheme)  # pyright: ignore[reportArgumentType]
                _take(page, address, picture, asked.out)
                page.close()


def _take(page: Page, address: str, picture: Picture, out: Path) -> None:
    page.goto(address + picture.address)
    page.get_by_text(picture.waits_for, exact=True).first.wait_for()
    _settle(page)
    if picture.presses:
        page.get_by_role("button", name=picture.presses).click()
        _settle(page)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": picture.width, "height": min(height, TALLEST)})
    _settle(page)
    page.screenshot(path=out / f"{picture.name}.png")
    print(out / f"{picture.name}.png")


def _settle(page: Page) -> None:
    """Wait until nothing is drawn any more."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(1500)  # ms: charts fade in


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "rlhf_core", "dashboard", "--run-root", str(folder / "runs"), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"no answer from {address}")


if __name__ == "__main__":
    main()
