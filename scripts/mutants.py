"""Break the mathematics on purpose, one place at a time, and see which test of the quick suite notices.

`make mutants` runs all of `tests/mutants.yaml`; `scripts/mutants.py gae` those whose file or reason contains a word.
Every break is applied to a copy of the project; the tests of its file run first, then those of the files that import it,
then the rest of the quick suite.
Of a whole run a copy without a break has to pass. Exits with 1 when a break survives, or does not fit the code any more.
"""

from __future__ import annotations

import argparse
import importlib
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
QUICK = "not slow and not real_model and not browser"
REST = ("tests/property", "tests/golden", "tests/unit")
HEAVY = ("torch", "transformers", "peft", "pandas", "scipy.stats", "hypothesis", "jaxtyping", "pydantic", "sklearn")
LIMIT = 900  # seconds for one break


@dataclass(frozen=True)
class Mutant:
    """One deliberate break: `find`, which occurs once in `file`, becomes `replace`."""

    file: str
    find: str
    replace: str
    breaks: str

    @property
    def near(self) -> list[str]:
        """The tests that mirror the broken file, or those of its folder."""
        path = Path("tests/unit") / self.file
        own = [path.with_name(f"test_{path.name}"), path.with_name(f"test_{path.stem}_training.py")]
        near = [*own, path.parent.with_name(f"test_{path.parent.name}.py")]
        files = [test for test in near if (ROOT / test).is_file()]
        return [str(test) for test in files or [path.parent] if (ROOT / test).exists()]

    @property
    def importing(self) -> list[str]:
        """The other test files that import the broken one by its name."""
        module = "rlhf_core." + self.file.removesuffix(".py").replace("/", ".")
        files = sorted(file for folder in REST for file in (ROOT / folder).rglob("test_*.py"))
        found = [str(file.relative_to(ROOT)) for file in files if f"from {module} import" in file.read_text("utf-8")]
        return [file for file in found if file not in self.near]


class FirstFailure:
    """A pytest plugin that keeps the name of the first test that failed."""

    name: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that failed."""
        if report.failed and self.name is None:
            self.name = report.nodeid


def main() -> int:
    """Run the chosen mutants and print who caught each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants whose file or reason contains one of these")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    mutants = chosen(arguments.words)
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in HEAVY:  # read once here; every break is tried in a fork of this process, which has them already
        importlib.import_module(name)
    started, lost = time.monotonic(), 0
    with multiprocessing.get_context("fork").Pool(arguments.jobs, maxtasksperchild=1) as pool:
        untouched = None if arguments.words else pool.apply_async(caught_by, (None,))
        waiting = [pool.apply_async(caught_by, (mutant,)) for mutant in mutants]
        for n, (mutant, result) in enumerate(zip(mutants, waiting, strict=True), start=1):
            catcher = result.get(LIMIT)
            lost += catcher is None
            print(f"{n:3}/{len(mutants)} {mutant.file}: {mutant.breaks}\n        {catcher or 'SURVIVED'}", flush=True)
        if untouched and (failed := untouched.get(LIMIT)):
            raise SystemExit(f"{failed} fails without any break, so it tells nothing about one")
    minutes = (time.monotonic() - started) / 60
    print(f"{len(mutants) - lost} of {len(mutants)} caught in {minutes:.1f} min")
    return 1 if lost or not mutants else 0


def chosen(words: Sequence[str]) -> list[Mutant]:
    """Return the mutants whose file or reason contains one of the words, or all; each fits the code as it is."""
    mutants = [Mutant(**row) for row in yaml.safe_load((ROOT / "tests" / "mutants.yaml").read_text(encoding="utf-8"))]
    for mutant in mutants:
        found = (ROOT / "rlhf_core" / mutant.file).read_text(encoding="utf-8").count(mutant.find)
        if found != 1:
            raise SystemExit(f"{mutant.file}: {mutant.find!r} occurs {found} times; expected 1")
    return [m for m in mutants if not words or any(word in m.file + " " + m.breaks for word in words)]


def caught_by(mutant: Mutant | None) -> str | None:
    """Return the first test that fails with the break in place, or None. Changes the process: folder and modules."""
    multiprocessing.current_process().daemon = False  # tests may start processes of their own
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        copy = Path(scratch)
        for name in project_files():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        if mutant:
            target = copy / "rlhf_core" / mutant.file
            text = target.read_text(encoding="utf-8")
            target.write_text(text.replace(mutant.find, mutant.replace), encoding="utf-8")
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        groups = (mutant.near, mutant.importing, REST) if mutant else (REST,)
        return next((test for paths in groups if paths and (test := first_failure(paths))), None)


def project_files() -> list[str]:
    """Return what git knows of the project, and what is new and not ignored."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def first_failure(paths: Sequence[str]) -> str | None:
    """Run the quick tests under `paths` in this process; return the name of the first that fails."""
    catcher = FirstFailure()
    with redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["-x", "--assert=plain", "-p", "no:cacheprovider", "-m", QUICK, *paths], plugins=[catcher])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code} under {', '.join(paths)}:\n{said.getvalue()[-2000:]}")
    return catcher.name


if __name__ == "__main__":
    raise SystemExit(main())
