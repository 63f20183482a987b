"""Break the mathematics on purpose, one place at a time, and see which test of the quick suite notices.

`make mutants` runs all of `tests/mutants.yaml`; `scripts/mutants.py gae` those whose file or reason contains a word.
Every break is applied to a copy of the project; the tests nearest to it run first, then the rest of the quick suite.
Exits with 1 when a break survives, or does not fit the code any more.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
QUICK = "not slow and not real_model and not browser"
COPIED = ("rlhf_core", "tests", "configs", "sample_data", "pyproject.toml", "docs", "README.md")
REST = ("tests/property", "tests/golden", "tests/unit/models", "tests/unit/training", "tests/unit/ops")
LIMIT = 900  # seconds for one break
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One deliberate break: `find`, which occurs once in `file`, becomes `replace`."""

    file: str
    find: str
    replace: str
    breaks: str

    @property
    def near(self) -> list[str]:
        """The tests that mirror the broken file, where there are any."""
        path = Path("tests/unit") / self.file
        own = [path.with_name(f"test_{path.name}"), path.with_name(f"test_{path.stem}_training.py")]
        near = [*own, path.parent.with_name(f"test_{path.parent.name}.py")]
        return [str(test) for test in near if (ROOT / test).is_file()]


def main() -> int:
    """Run the chosen mutants and print who caught each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants whose file or reason contains one of these")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    rows = yaml.safe_load((ROOT / "tests" / "mutants.yaml").read_text(encoding="utf-8"))
    mutants = [Mutant(**row) for row in rows]
    if arguments.words:
        mutants = [m for m in mutants if any(word in m.file + " " + m.breaks for word in arguments.words)]
    started, lost = time.monotonic(), 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for n, (mutant, catcher) in enumerate(zip(mutants, pool.map(caught_by, mutants), strict=True), start=1):
            lost += catcher is None
            print(f"{n:3}/{len(mutants)} {mutant.file}: {mutant.breaks}\n        {catcher or 'SURVIVED'}", flush=True)
    minutes = (time.monotonic() - started) / 60
    print(f"{len(mutants) - lost} of {len(mutants)} caught in {minutes:.1f} min")
    return 1 if lost or not mutants else 0


def caught_by(mutant: Mutant) -> str | None:
    """Return the first test that fails with the break in place, or None."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        copy = Path(scratch)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "recorded_run"))
            else:
                shutil.copy(source, copy / name)
        target = copy / "rlhf_core" / mutant.file
        text = target.read_text(encoding="utf-8")
        if text.count(mutant.find) != 1:
            raise SystemExit(f"{mutant.file}: {mutant.find!r} occurs {text.count(mutant.find)} times; expected 1")
        target.write_text(text.replace(mutant.find, mutant.replace), encoding="utf-8")
        return next((test for paths in (mutant.near, REST) if paths and (test := first_failure(copy, paths))), None)


def first_failure(copy: Path, paths: list[str] | tuple[str, ...]) -> str | None:
    """Run the quick tests under `paths` in the copy; return the name of the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", QUICK, *paths]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode == 0:
        return None
    found = FAILED.search(done.stdout)
    if not found:
        raise SystemExit(
            f"pytest ended with {done.returncode} and named no test:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return found[1]


if __name__ == "__main__":
    raise SystemExit(main())
