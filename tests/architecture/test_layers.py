"""Who may import whom, read from the source: every import counts, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("rlhf_core", "dashboard")
HEAVY = {"torch", "transformers", "peft", "accelerate", "safetensors", "jaxtyping"}
TORCH_FREE = (
    "rlhf_core.config", "rlhf_core.config.files", "rlhf_core.config.pretrain", "rlhf_core.errors", "rlhf_core.data",
    "rlhf_core.feedback", "rlhf_core.runs", "rlhf_core.report",
    "rlhf_core.evaluation.statistics", "dashboard",
    "rlhf_core.evaluation.agreement", "rlhf_core.evaluation.consensus", "rlhf_core.evaluation.labellers",
    "rlhf_core.evaluation.compare", "rlhf_core.evaluation.phrases", "rlhf_core.evaluation.prompt_votes",
    "rlhf_core.evaluation.judges", "rlhf_core.evaluation.auto_judge", "rlhf_core.rounds.begin", "rlhf_core.rounds.reward_test",
    "rlhf_core.judging", "rlhf_core.judgements", "rlhf_core.passwords",
    "rlhf_core.playground.contenders", "rlhf_core.playground.kept", "rlhf_core.playground.protocol",
)  # fmt: skip
SERVICES_MAY_USE = (
    "rlhf_core.runs", "rlhf_core.feedback", "rlhf_core.data", "rlhf_core.evaluation.statistics", "rlhf_core.report",
    "rlhf_core.config", "rlhf_core.errors", "rlhf_core.judging", "rlhf_core.visible",
    "rlhf_core.evaluation.agreement", "rlhf_core.evaluation.ballots", "rlhf_core.evaluation.labellers",
    "rlhf_core.evaluation.compare", "rlhf_core.evaluation.phrases", "rlhf_core.evaluation.prompt_votes",
    "rlhf_core.playground.contenders", "rlhf_core.playground.kept", "rlhf_core.playground.protocol",
)  # fmt: skip
USES_TRAINING = (
    "rlhf_core.training",
    "rlhf_core.pipeline",
    "rlhf_core.pretraining",
    "rlhf_core.stages",
    "rlhf_core.cli",
)


def inside(name: str, packages: Iterable[str]) -> bool:
    """Say whether a module is one of the packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    paths = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that `name` imports anywhere; `from package import module` names the module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules() else node.module)
    return frozenset(found)


def chain_to_heavy(name: str, seen: set[str]) -> list[str] | None:
    """A chain of imports from `name` to a heavy library, or None."""
    seen.add(name)
    for target in sorted(imports(name)):
        if target.split(".")[0] in HEAVY:
            return [name, target]
        if target in modules() and target not in seen and (rest := chain_to_heavy(target, seen)):
            return [name, *rest]
    return None


def users(of: str, allowed: Iterable[str]) -> dict[str, set[str]]:
    """Modules outside `allowed` that import something of `of`."""
    found = {name: {t for t in imports(name) if inside(t, [of])} for name in modules() if not inside(name, allowed)}
    return {name: targets for name, targets in found.items() if targets}


def named(*packages: str) -> list[str]:
    return sorted(name for name in modules() if inside(name, packages) and name != "rlhf_core.data.collate")


def test_the_modules_are_found():
    """A wrong root would make every other test here pass on nothing."""
    assert len(modules()) > 60
    assert "rlhf_core.ops.masking" in imports("rlhf_core.ops.losses")
    assert chain_to_heavy("rlhf_core.data.collate", set()) == ["rlhf_core.data.collate", "jaxtyping"]
    assert chain_to_heavy("rlhf_core.training.heldout", set()) is not None


@pytest.mark.parametrize("name", named(*TORCH_FREE))
def test_no_chain_of_imports_leads_to_torch(name: str):
    assert chain_to_heavy(name, set()) is None


def test_ops_import_nothing_of_ours():
    for name in named("rlhf_core.ops"):
        assert not {t for t in imports(name) if inside(t, OURS) and not inside(t, ["rlhf_core.ops"])}, name


def test_models_know_nothing_of_training_or_runs():
    for name in named("rlhf_core.models"):
        assert not {
            t for t in imports(name) if inside(t, ("rlhf_core.training", "rlhf_core.runs", "rlhf_core.evaluation"))
        }, name


def test_only_the_pipeline_and_the_command_use_training():
    assert users("rlhf_core.training", USES_TRAINING) == {}


def test_the_core_never_imports_the_dashboard_or_streamlit():
    assert users("dashboard", ["dashboard"]) == {}
    assert users("streamlit", ["dashboard"]) == {}


def test_services_ask_for_data_and_draw_nothing():
    for name in named("dashboard.services"):
        foreign = {t for t in imports(name) if inside(t, ["rlhf_core"]) and not inside(t, SERVICES_MAY_USE)}
        assert not foreign, name
        assert not {t for t in imports(name) if inside(t, ("streamlit", "dashboard.views", "dashboard.components"))}, (
            name
        )


def test_components_do_not_know_the_views():
    assert users("dashboard.views", ("dashboard.views", "dashboard.navigation", "dashboard.app")) == {}


def test_importing_what_the_dashboard_reads_loads_no_torch():
    """The same at run time, through the libraries too."""
    read = [n for n in named(*TORCH_FREE) if not inside(n, ("dashboard",)) or inside(n, ["dashboard.services"])]
    wanted = [n for n in read if not inside(n, ["rlhf_core.feedback.migrations"])]  # run by Alembic, never imported
    code = f"import sys, {', '.join(wanted)}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
