"""`rlhf gcpc` up to the run: what it says, what it writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rlhf_core.cli import main
from rlhf_core.config import load_config
from tests.command import succeed
from tests.unit.gcpc.test_gcpc_rows import asked, compared, write


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of parameters with its data beside it; the working directory is another."""
    folder = tmp_path / "job"
    write(folder / "p.jsonl", asked("a", "b"))
    write(folder / "c.jsonl", compared("c", "d"))
    write(folder / "e.jsonl", asked("e"))
    params = {"prompt_dataset": "p.jsonl", "preference_dataset": "gs://bucket/c.jsonl", "eval_dataset": "e.jsonl"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"large_model_reference": "tiny", "kl_coeff": 0.2}))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder / "params.yaml"


def test_a_dry_run_says_all_and_writes_nothing(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = succeed(capsys, "gcpc", job, "--dry-run")
    assert "  kl_coeff = 0.2\n    → ppo.kl_coef: 0.2\n" in said
    assert "Not needed here" not in said  # none of those was given
    assert said.index("Mapped here") < said.index("Done better here") < said.index("2 prompts to train on, 1 held out")
    assert yaml.safe_load(said[said.index("# Made by") : said.index("Nothing was written")])["ppo"]["kl_coef"] == 0.2
    assert list(Path().iterdir()) == []


def test_files_are_written_that_a_pipeline_reads(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = succeed(capsys, "gcpc", job, "--estimate", "--set", "ppo.iterations=3", "--set", "name=moved")
    config = load_config("data/moved/pipeline.yaml")
    assert config.data.prompts == Path("data/moved/prompts.jsonl").resolve() and config.data.prompts.is_file()
    assert (config.ppo.iterations, config.ppo.kl_coef, config.policy.model) == (3, 0.2, "tiny")
    assert config.run_root == Path("runs").resolve()
    assert "data/moved/pipeline.yaml: from now on `rlhf pipeline data/moved/pipeline.yaml` does the same" in said
    assert "It takes" in said


def test_settings_may_name_files_from_the_working_directory(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("safe.jsonl"), [{"id": "s", "prompt": "Why?", "category": "safe", "split": "eval"}])
    succeed(capsys, "gcpc", job, "--estimate", "--out", "out", "--set", "data.refusal_prompts=safe.jsonl")
    assert load_config("out/pipeline.yaml").data.refusal_prompts == Path("safe.jsonl").resolve()


def test_a_configuration_that_somebody_made_their_own_is_left_alone(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    succeed(capsys, "gcpc", job, "--estimate", "--out", "out")
    succeed(capsys, "gcpc", job, "--estimate", "--out", "out", "--set", "seed=5")
    assert load_config("out/pipeline.yaml").seed == 5
    path = Path("out/pipeline.yaml")
    path.write_text(path.read_text().split("\n", 1)[1])
    before = path.read_text(), Path("out/prompts.jsonl").stat().st_mtime_ns
    with pytest.raises(SystemExit) as ended:
        main(["gcpc", str(job), "--estimate", "--out", "out"])
    assert "is not one that `rlhf gcpc` may write anew. Run it with `rlhf pipeline out/pipeline.yaml`" in str(
        ended.value
    )
    assert (path.read_text(), Path("out/prompts.jsonl").stat().st_mtime_ns) == before


def test_wrong_settings_and_data_write_nothing(job: Path) -> None:
    for arguments, message in (
        (["--set", "ppo.kl_coeff=1"], "did you mean `kl_coef`?"),
        (["--set", "policy.model=nowhere"], "no such model"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["gcpc", str(job), "--out", "out", *arguments])
        assert message in str(ended.value) and not Path("out").exists()


def test_rows_longer_than_the_policy_may_read_are_left_out(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(job.parent / "p.jsonl", asked("a", "b" * 200))
    said = succeed(
        capsys, "gcpc", job, "--dry-run", "--set", "policy.max_prompt_tokens=100"
    )  # tiny reads a byte a token
    assert "1 left out: prompt_dataset: longer than prompt_sequence_length" in said
