"""Beginning a round: its data, configuration and lineage; going on with it; every reason to refuse. Nothing is trained."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config import load_config
from rlhf_core.data.datasets import Datasets, load_datasets
from rlhf_core.data.io import iterate_jsonl, write_json
from rlhf_core.data.records import Prompt
from rlhf_core.errors import ConfigError, DataError, RunError, VoteError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.rounds.begin import PAIRS, RoundRequest, begin_round
from rlhf_core.runs.reader import RunReader
from rlhf_core.stages import contender_source, start_source
from tests.round_factory import judge_all, write_parent
from tests.vote_factory import completion


def tuned(number: int) -> str:
    """People always prefer tuned."""
    return "tuned"


def request(run: Path, **fields: Any) -> RoundRequest:
    return RoundRequest(run, **fields)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judged")
    judge_all(write_parent(root), tuned)
    return root


@pytest.fixture
def judged(template: Path, tmp_path: Path) -> Path:
    """A finished run whose 40 held-out prompts one person judged, always for tuned."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs" / "first"


def ids(rows: list[Any]) -> set[str]:
    return {row.id for row in rows}


def data_of(run: Path) -> Datasets:
    return load_datasets(load_config(run / "round.yaml").data)


def test_half_of_the_judged_prompts_join_the_training_data_and_half_stay_held_out(judged: Path):
    begun = begin_round(request(judged))
    data = data_of(begun.path)
    assert begun.path == judged.with_name("first-round2") and begun.notes == ()
    moved = ids(data.train_prompts) - {f"t{n}" for n in range(12)}
    assert len(moved) == 20 and len(data.eval_prompts) == 20 and len(data.train_prompts) == 32
    assert moved | ids(data.eval_prompts) == {f"e{n}" for n in range(40)}
    votes = [row for row in data.rankings if row.id.startswith("round-2-task-1-")]
    assert {row.prompt_id for row in votes} == moved and len(data.rankings) == 12 + 20
    assert {row.ranking[0][0] for row in votes} == {"tuned"}
    origin = votes[0].provenance
    assert origin is not None and (origin.votes, origin.method, origin.simulated) == (1, "majority", False)
    tested = [row for _, row in iterate_jsonl(begun.path / PAIRS)]
    assert {row["prompt_id"] for row in tested} == ids(data.eval_prompts)
    assert all(row["contender_text"].startswith("tuned ") and row["outcome"] == "contender" for row in tested)
    assert not {row.prompt for row in data.rankings} & {row.prompt for row in data.eval_prompts}


def test_the_lineage_says_where_it_comes_from(judged: Path):
    """20 votes of weight 1 against 12 rankings hold 20/32, more than a quarter, so nothing is weighed down."""
    origin = RunReader(begin_round(request(judged)).path).lineage()
    assert origin is not None
    assert (origin.round, origin.parent, origin.task, origin.criterion) == (2, "first", 1, "overall")
    assert (origin.votes, origin.labellers, origin.agreement, origin.simulated) == (40, 1, None, False)
    assert (origin.prompts_moved, origin.prompts_tested, origin.rankings) == (20, 20, 20)
    assert (origin.votes_share, origin.earlier_weight) == (20 / 32, 1.0)
    assert origin.next_task is None and len(origin.instruction_versions) == 1
    assert origin.brief == "first, 40 votes"


def test_votes_hold_the_share_that_was_asked_for(judged: Path):
    """20 votes, 12 rankings: for 0.9 f = 20·0.1/(0.9·12) = 0.185."""
    begun = begin_round(request(judged, votes_share=0.9))
    earlier = [row.weight for row in data_of(begun.path).rankings if "task" not in row.id]
    assert earlier == pytest.approx([20 * 0.1 / (0.9 * 12)] * 12)
    assert begun.lineage.votes_share == pytest.approx(0.9)
    assert begun.lineage.earlier_weight == pytest.approx(20 * 0.1 / (0.9 * 12))


def test_agreement_and_ties_are_counted(tmp_path: Path):
    """Two people; every fourth prompt is a tie for both: they agree always, and a tie gives no ranking."""
    run = write_parent(tmp_path)
    judge_all(run, lambda n: "tie" if n % 4 == 0 else "base", ("ana", "ben"))
    begun = begin_round(request(run))
    assert (begun.lineage.votes, begun.lineage.labellers, begun.lineage.agreement) == (80, 2, 1.0)
    moved = ids(data_of(begun.path).train_prompts) - {f"t{n}" for n in range(12)}
    assert begun.lineage.rankings == sum(int(name[1:]) % 4 != 0 for name in moved) < len(moved) == 20


def test_conversations_keep_their_turns_and_their_side(tmp_path: Path):
    run = write_parent(tmp_path, talks=6)
    judge_all(run, tuned)
    for seed in range(4):
        data = data_of(begin_round(request(run, overrides=[f"seed={seed}"])).path)
        talks = {f"e{n}" for n in range(6)}
        assert talks <= ids(data.train_prompts) or talks <= ids(data.eval_prompts)
        votes = {row.prompt_id: row for row in data.rankings if row.prompt_id.startswith("e")}
        prompts = {row.id: row for row in data.train_prompts}
        assert all(row.history == prompts[name].history for name, row in votes.items())
        shutil.rmtree(run.with_name("first-round2"))


def test_the_configuration_goes_on_from_the_tuned_model_and_names_who_is_who(judged: Path):
    begun = begin_round(request(judged, overrides=["ppo.iterations=4"]))
    config = load_config(begun.path / "round.yaml")
    assert config == begun.config and config.run_path.resolve() == begun.path and config.ppo.iterations == 4
    assert config.sft is None and config.generate.max_new_tokens == 9  # the rest is the run's before
    assert start_source(config) == config.policy.model == str(judged / "ppo" / "model")
    assert config.generate.names == ["base", "tuned", "round-1"]
    assert contender_source(config, "base") == "tiny"
    assert contender_source(config, "round-1") == str(judged / "ppo" / "model")
    assert Path(contender_source(config, "tuned")).resolve() == begun.path / "ppo" / "model"
    text = (begun.path / "round.yaml").read_text(encoding="utf-8")
    assert "../first/ppo/model" in text and str(judged.parent) not in text  # the folder of runs can be moved


def test_a_third_round_keeps_the_first_base_and_halves_again(judged: Path):
    begun = begin_round(request(judged))
    finish_by_hand(begun.path)
    held_out = data_of(begun.path).eval_prompts
    judge_round(begun.path, held_out)
    third = begin_round(request(begun.path))
    assert third.path == judged.with_name("first-round3") and third.lineage.parent == "first-round2"
    config, data = third.config, data_of(third.path)
    assert config.generate.models == {"base": "tiny", "round-2": str(begun.path / "ppo" / "model")}
    assert len(data.eval_prompts) == 10 and ids(data.eval_prompts) < ids(held_out)
    assert len(data.rankings) == 12 + 20 + 10
    with pytest.raises(DataError, match="no votes of people on first-round3"):
        finish_by_hand(third.path)
        begin_round(request(third.path))


def finish_by_hand(run: Path) -> None:
    """Leave what a finished round leaves."""
    for folder in ("ppo/model", "reward/model", "completions"):
        (run / folder).mkdir(parents=True)
    (run / "completions" / "tuned.jsonl").write_text("", encoding="utf-8")
    shutil.copy(run / "round.yaml", run / "config.yaml")
    write_json(run / "status.json", {"state": "complete", "stages": {}})


def judge_round(run: Path, held_out: list[Prompt]) -> None:
    """Let one person prefer tuned to round-1 on every held-out prompt."""
    sides = [
        [completion(p.id, name, f"{name} {p.id}", p.transcript) for p in held_out] for name in ("round-1", "tuned")
    ]
    with closing(VoteStore(run.parent / "votes.db")) as store:
        task = store.ensure_task(build_task(f"{run.name}-judging", sides, "Choose the better one.", 0))
        while (item := store.next_item(task, "ana")) is not None:
            store.vote(item.token, "a" if item.texts[0].startswith("tuned") else "b", reading_seconds=1.0)


def test_simulated_votes_need_to_be_asked_for_and_are_never_mixed(tmp_path: Path):
    run = write_parent(tmp_path)
    judge_all(run, tuned, ("robot",), simulated=True)
    with pytest.raises(DataError, match=r"no votes of people on first .found \['first', 'first-judging'\].*Judge page"):
        begin_round(request(run))
    with pytest.raises(DataError, match=r"task 1: no votes of people; 40 votes of other kinds are not counted"):
        begin_round(request(run, task=1))
    judge_all(run, lambda n: "base", ("ana",))
    begun = begin_round(request(run, simulated=True))
    assert begun.lineage.simulated and begun.lineage.votes == 40 and "no person gave" in begun.lineage.sentence
    assert begun.lineage.brief == "first, 40 simulated votes"
    votes = [row for row in data_of(begun.path).rankings if row.provenance]
    assert all(row.provenance.simulated and row.ranking[0] == ["tuned"] for row in votes if row.provenance)
    with pytest.raises(RunError, match=r"first-round2: was begun from first, 40 simulated votes on task 1 \(overall\)"):
        begin_round(request(run))


def test_the_same_command_goes_on_and_other_votes_are_said_but_not_used(judged: Path):
    begun = begin_round(request(judged))
    before = {p: p.read_bytes() for p in begun.path.rglob("*") if p.is_file()}
    again = begin_round(request(judged, overrides=["ppo.iterations=3"]))
    assert again.notes == ("The round was begun before: its data stay as they are.",)
    assert again.lineage == begun.lineage and again.config.ppo.iterations == 3
    judge_all(judged, lambda n: "base", ("ben",))
    said = begin_round(request(judged)).notes[1]
    assert said == (
        "Task 1 has other votes now (80; 40 when the round began). They are not learnt from here; remove first-round2 to "
        "begin anew with them."
    )
    assert {p: p.read_bytes() for p in begun.path.rglob("*") if p.is_file()} == before


def test_a_round_that_was_stopped_while_it_began_begins_again(judged: Path):
    whole = begin_round(request(judged))
    before = {p: p.read_bytes() for p in whole.path.rglob("*") if p.is_file()}
    (whole.path / "lineage.json").unlink()
    (whole.path / "data" / "rankings.jsonl").write_text("half a", encoding="utf-8")
    assert begin_round(request(judged)).notes == ()
    assert {p: p.read_bytes() for p in whole.path.rglob("*") if p.is_file()} == before


def test_one_of_several_judged_tasks_has_to_be_chosen(judged: Path):
    judge_all(judged, lambda n: "base", overlap=1)
    with pytest.raises(
        DataError, match=r"several tasks of first have votes: 1 \(40 votes\), 2 \(40 votes\)\. Choose with --task"
    ):
        begin_round(request(judged))
    assert begin_round(request(judged, task=2)).lineage.task == 2
    with pytest.raises(
        RunError, match=r"was begun from first, 40 votes on task 2 \(overall\) .*Ask for the same, or remove"
    ):
        begin_round(request(judged, task=1))


def test_a_criterion_can_be_chosen(tmp_path: Path):
    run = write_parent(tmp_path)
    judge_all(run, tuned, criteria=("helpful", "honest"))
    with pytest.raises(DataError, match=r"unknown criterion \(found 'kind'\)\. Expected one of helpful, honest"):
        begin_round(request(run, criterion="kind"))
    assert begin_round(request(run, criterion="honest")).lineage.criterion == "honest"


def test_settings_that_follow_from_the_run_before_are_refused(judged: Path):
    for override in ("name=x", "data.limit=8", "policy.model=tiny", "generate.models.base=tiny", "sft.epochs=1"):
        with pytest.raises(ConfigError, match=rf"--set: follows from the run before \(found '{override}'\)"):
            begin_round(request(judged, overrides=[override]))
    with pytest.raises(ConfigError, match=r"ppo\.iteration: unknown key; did you mean `iterations`"):
        begin_round(request(judged, overrides=["ppo.iteration=1"]))
    assert not judged.with_name("first-round2").exists()


def test_a_run_without_its_models_or_votes_is_refused(judged: Path, tmp_path: Path):
    shutil.rmtree(judged / "reward")
    with pytest.raises(
        RunError, match=r"a round needs a complete run with its models; .*\['reward/model'\].*to its end"
    ):
        begin_round(request(judged))
    with pytest.raises(RunError, match="no such run"):
        begin_round(request(tmp_path / "runs" / "nothing"))
    with pytest.raises(
        VoteError, match=r"none\.db: no vote database\. `rlhf task create` makes one; --votes names another"
    ):
        begin_round(request(judged, votes=str(tmp_path / "none.db")))


def test_an_unfinished_run_is_refused(judged: Path):
    status = json.loads((judged / "status.json").read_text())
    write_json(judged / "status.json", status | {"state": "interrupted"})
    with pytest.raises(RunError, match="a round needs a complete run with its models; this one is interrupted"):
        begin_round(request(judged))


def test_a_folder_that_is_another_run_is_left_alone(judged: Path):
    write_parent(judged.parents[1], "first-round2")
    with pytest.raises(RunError, match=r"first-round2: is a run, and no round of this one\. Rename it or remove it"):
        begin_round(request(judged))


def test_too_few_judged_prompts_leave_nothing_behind(tmp_path: Path):
    run = write_parent(tmp_path)
    judge_all(run, lambda n: "tie")
    with pytest.raises(
        DataError, match=r"too few votes to learn from: 20 judged prompts .* 20 stay held out, with 0 orders"
    ):
        begin_round(request(run))
    assert not (run.with_name("first-round2") / "lineage.json").exists()


def test_prompts_that_were_changed_since_are_refused(judged: Path):
    path = judged.parents[1] / "data" / "prompts.jsonl"
    path.write_text(path.read_text().replace("Question e7?", "Question seven?"), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"1 of 40 judged prompts are not held out .*found \['e7'\].*leave the data files"
    ):
        begin_round(request(judged))
