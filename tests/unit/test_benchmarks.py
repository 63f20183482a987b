"""The benchmarks measure what they say: sizes, full lengths, memory of the right process, ratios, targets."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from benchmarks import accuracy, measure, products, run
from benchmarks.measure import Measurement, Task, measure_in_turn, summarise
from benchmarks.ours import ppo, reward, rollouts
from benchmarks.quickstart import describe, first_reached
from benchmarks.rows import Row, all_rows
from benchmarks.table import layout, result
from benchmarks.work import Work, preference_pairs, random_prompts, read_pairs
from rlhf_core.errors import RunError
from rlhf_core.models.sources import resolve
from tests.engine import rankings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def work() -> Work:
    tiny = str(resolve("tiny"))
    return Work(tiny, tiny, "float32", batch=2, prompt=5, response=3, epochs=1, steps=1)


def test_every_prompt_has_the_length_asked_for_and_ids_the_model_knows(work: Work):
    prompts = random_prompts(work, 7)
    assert [len(row) for row in prompts] == [5] * 7
    assert all(10 <= token < 259 for row in prompts for token in row)
    assert random_prompts(work, 7) == prompts


def test_made_up_pairs_have_full_texts_and_a_files_pairs_part_where_they_differ(work: Work, tmp_path: Path):
    made = preference_pairs(replace(work, steps=2))
    assert len(made) == 4 and {len(pair.prompt.split()) for pair in made} == {5}
    assert {len(text.split()) for pair in made for text in (pair.chosen, pair.rejected)} == {3}
    rows = [{"chosen": "Human: Why?\n\nAssistant: It is.", "rejected": "Human: Why?\n\nAssistant: I know."}] * 3
    with gzip.open(tmp_path / "p.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    read = preference_pairs(replace(work, pairs=str(tmp_path / "p.jsonl.gz")))
    assert len(read) == 2
    assert (read[0].prompt, read[0].chosen, read[0].rejected) == (
        "Human: Why?\n\n", "Assistant: It is.", "Assistant: I know.",
    )  # fmt: skip


def test_a_rollout_makes_every_token_it_is_timed_for(work: Work):
    """Two rows of 3 tokens, twice; no response may end early."""
    amount, seconds = rollouts.sampled(replace(work, steps=2))
    assert amount == 12 and seconds > 0
    assert rollouts.ceiling(work)[0] == 6


@pytest.mark.parametrize("recipe", [ppo.full, ppo.default])
def test_a_ppo_iteration_runs_with_responses_of_full_length(recipe, work: Work, monkeypatch: pytest.MonkeyPatch):
    """Two prompts of 5 and responses of 3 tokens; `full` trains all weights beside a value model of its own."""
    seen = []
    honest = ppo.iterate

    def watched(learner, *rest):
        metrics = honest(learner, *rest)
        seen.append(
            (learner.policy.lora is None, learner.value_model.lm is not None, metrics["tokens/response_length"])
        )
        return metrics

    monkeypatch.setattr(ppo, "iterate", watched)
    amount, seconds = recipe(work)
    assert amount == 16 and seconds > 0
    assert seen == [(recipe is ppo.full, recipe is ppo.full, 3.0)]


def test_reward_training_counts_its_pairs(work: Work):
    amount, seconds = reward.trained(replace(work, steps=2))
    assert amount == 4 and seconds > 0


def test_accuracy_is_measured_on_prompts_nobody_trained_on(tmp_path: Path):
    """Twelve prompts of three completions, every third with a tie: 2 or 3 pairs a prompt, 10 prompts to learn from."""
    made = accuracy.prepare(tmp_path, rankings(12), str(resolve("tiny")), 1, "bfloat16")
    learnt, held_out = (read_pairs(file) for file in (made.pairs, made.held_out))
    prompts = [{pair.prompt for pair in pairs} for pairs in (learnt, held_out)]
    assert [len(part) for part in prompts] == [10, 2] and not prompts[0] & prompts[1]
    assert len(learnt) + len(held_out) == 8 * 3 + 4 * 2 and made.steps == len(learnt) // 16
    assert (made.seed, made.dtype) == (1, "bfloat16")
    assert all("good" not in pair.rejected and "worse" not in pair.chosen for pair in (*learnt, *held_out))


def test_accuracy_is_the_share_of_held_out_pairs_the_trained_model_orders_as_people_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every whole batch is one step; turning the held-out pairs round turns the share round."""
    made = accuracy.prepare(tmp_path, rankings(30), str(resolve("tiny")), 0, "float32")
    norms: list[torch.Tensor] = []
    step = reward.step_optimizer
    monkeypatch.setattr(reward, "step_optimizer", lambda *given: norms.append(step(*given)))
    share, seconds = reward.accuracy(made)
    assert len(norms) == made.steps > 1 and all(norm > 0 for norm in norms)
    turned = tmp_path / "turned.jsonl"
    rows = [json.loads(line) for line in Path(made.held_out).read_text().splitlines()]
    turned.write_text("".join(json.dumps({"chosen": r["rejected"], "rejected": r["chosen"]}) + "\n" for r in rows))
    assert reward.accuracy(replace(made, held_out=str(turned)))[0] == pytest.approx(1 - share)
    assert seconds > 0 and share * len(rows) == pytest.approx(round(share * len(rows)))


def test_a_pair_counts_when_the_chosen_text_scores_higher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A model that knows but `good` answers: it is right where one was chosen, and a tie is not right."""

    class Knows:
        def raw_scores(self, prompts: list[str], texts: list[str]) -> torch.Tensor:
            return torch.tensor([float("good" in text) for text in texts])

    made = accuracy.prepare(tmp_path, rankings(30), str(resolve("tiny")), 0, "float32")
    monkeypatch.setattr(reward, "_train", lambda work, rankings: (Knows(), 1.0))
    right = ["good" in pair.chosen for pair in read_pairs(made.held_out)]
    assert 0.5 < sum(right) / len(right) < 1
    assert reward.accuracy(made) == (pytest.approx(sum(right) / len(right)), 1.0)


def test_without_the_peers_python_the_accuracy_says_what_makes_it(tmp_path: Path):
    with pytest.raises(RunError, match=r"no such Python.*make bench"):
        accuracy.main(["--peers", str(tmp_path / "none")])


@pytest.fixture
def fake_child(tmp_path: Path, work: Work):
    """Measure with a Python that runs the given lines instead of the module it is told to run."""

    def run_lines(lines: str) -> Measurement:
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\n{lines}\n")
        script.chmod(0o755)
        return measure.measure(Task("ours.a:b", work), str(script))

    return run_lines


def test_the_last_line_of_a_process_is_its_measurement(fake_child):
    found = fake_child('print("chatter")\nprint(\'{"amount": 10, "seconds": 4.0, "memory": 7}\')')
    assert found == Measurement(10, 4.0, 7) and found.rate == 2.5


def test_a_failed_process_is_told_with_its_last_words(fake_child):
    with pytest.raises(RunError, match=r"ours\.a:b: ended with status 1:\nout of luck"):
        fake_child("import sys\nsys.exit('out of luck')")


def test_work_is_done_in_turn_and_once_a_repetition(monkeypatch: pytest.MonkeyPatch, work: Work):
    """A task that two rows share is done once; without a peers' Python the peers' tasks are left out."""
    done = []
    monkeypatch.setattr(measure, "measure", lambda task, python: done.append(task.does) or Measurement(1, 1, 1))
    tasks = [Task(name, work) for name in ("ours.a:b", "peers.a:b", "ours.a:b", "ours.c:d")]
    measure_in_turn(tasks, 2, Path("python"))
    assert done == ["ours.a:b", "peers.a:b", "ours.c:d"] * 2
    assert measure_in_turn(tasks, 1, None).keys() == {tasks[0], tasks[3]}


def test_ratios_and_targets_by_hand(work: Work):
    """Ours 10 a second (median of 8, 10, 30) in 3 GiB, theirs 5 in 4 GiB: twice as fast, three quarters of the memory."""
    ours, other = Task("ours.a:b", work), Task("peers.a:b", work)
    gib = 2**30
    found = {
        ours: [Measurement(8, 1, 3 * gib), Measurement(20, 2, 3 * gib), Measurement(30, 1, 3 * gib)],
        other: [Measurement(5, 1, 4 * gib)],
    }
    assert summarise(found[ours]).rate == 10.0
    row = Row("x", "work: TRL", ours, other, "s/iteration", speed=2.5, memory=0.8, per=20, products=7.0)
    assert row.peak
    found[row.peak] = [Measurement(210, 2, gib)]  # 105 operations a second are 15 units: thrice theirs, ours two thirds
    figures = result(row, found)
    assert (figures["at_most"], figures["of_peak"]) == (3.0, pytest.approx(2 / 3))
    assert (figures["speed"], figures["memory"]) == (2.0, 0.75)
    assert (figures["speed_met"], figures["memory_met"]) == (False, True)
    text = layout([row], [figures])
    assert "2.0 (0.7–2.5)" in text  # 20 tokens an iteration, at 10 (8 to 30) a second
    assert "≥ 2.50: missed" in text and "≤ 0.80: met" in text and "3.00 ×" in text and "67%" in text
    alone = result(row, {ours: found[ours]})
    assert alone["speed"] is None and alone["speed_met"] is None and "–" in layout([row], [alone])


def test_the_rows_are_the_work_that_was_promised(work: Work):
    rows = {row.name: row for row in all_rows(replace(work, batch=16, prompt=32, response=32, epochs=4), smoke=False)}
    assert rows.keys() == {
        *(f"rollouts-{n}{end}" for n in (16, 32, 64) for end in ("", "-ceiling")),
        "ppo-full", "ppo-default", "linear-batch", "linear-length", "reward",
    }  # fmt: skip
    full = rows["ppo-full"].ours.work
    assert (full.batch, full.prompt, full.response, full.epochs) == (16, 32, 32, 4)
    assert rows["ppo-default"].other == rows["ppo-full"].other == Task("peers.ppo:full", full)
    assert rows["linear-length"].ours.work.tokens == rows["linear-batch"].ours.work.tokens == 4 * full.tokens
    assert rows["ppo-full"].per == 16 * 64
    assert (rows["ppo-default"].speed, rows["ppo-full"].memory) == (6.0, 0.8)


def test_operations_by_hand(tmp_path: Path):
    """Two layers of width 8 (4 for keys), 16 inside, 100 tokens: 2·(2·8·(8 + 4) + 3·8·16) = 1152 and 800 weights; the
    encoder, one layer of width 4, 8 inside: 4·16 + 2·32 = 128."""
    llama = {
        "model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
        "num_hidden_layers": 2, "vocab_size": 100,
    }  # fmt: skip
    bert = {"model_type": "bert", "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 9}
    for name, config in (("m", llama), ("e", bert)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    made = Work(str(tmp_path / "m"), str(tmp_path / "e"), "float32", prompt=30, response=10, epochs=3)
    assert products.layers_and_head(made.model) == (1152, 800)
    assert products.of_rollouts(made) == 2 * (1152 + 800 + 3 * 1152)
    assert products.of_reward(made) == 2 * 40 * 6 * 128
    head = 800 / 4  # a quarter of the tokens are answers
    full = 2 * (1152 + head) + 2 * (4 * 1152 + 2 * head) + 3 * 6 * (2 * 1152 + head)
    assert products.of_ppo_full(made) == full
    default = 2 * (1152 + head) + 2 * (1.5 * 1152 + 2 * head + 128) + 3 * 4 * (576 + head)
    assert products.of_ppo_default(made, 1) == default


@pytest.mark.real_model
@pytest.mark.usefixtures("fetched_models")
def test_operations_are_the_weights_of_the_models_themselves():
    for name in ("smollm2-135m-instruct", "minilm-l6"):
        model = AutoModel.from_pretrained(resolve(f"packaged:{name}"))
        linear = {n: m.weight.numel() for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        in_layers = sum(count for n, count in linear.items() if "layer" in n)
        assert products.layers_and_head(str(resolve(f"packaged:{name}")))[0] == in_layers


def test_when_a_run_reached_its_gain(tmp_path: Path):
    rows = [
        {"step": 0, "time": 100.0, "eval/score": -0.5},
        {"step": 1, "time": 110.0, "objective/scores": 9.0},
        {"step": 2, "time": 130.0, "eval/score": 0.29},
        {"step": 4, "time": 160.0, "eval/score": 0.31},
        {"step": 6, "time": 190.0, "eval/score": 2.0},
    ]
    assert first_reached(rows, 0.8) == (4, 60.0)
    assert first_reached(rows, 9.0) is None and first_reached(rows[1:], 0.8) is None
    (tmp_path / "ppo").mkdir()
    (tmp_path / "ppo" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert describe(tmp_path).endswith("reached at iteration 4 after 60 s: met")
    with pytest.raises(RunError, match=r"no PPO metrics\. Give a run directory"):
        describe(tmp_path / "elsewhere")


@pytest.mark.slow
def test_ours_runs_from_beginning_to_end(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """In processes of their own, without the peers' environment."""
    options = ["--smoke", "--peers", str(tmp_path / "none"), "--dtype", "float32", "--json", str(tmp_path / "out.json")]
    assert run.main([*options, "rollouts-2", "reward"]) in (0, 1)  # times of a moment's work may miss a target
    printed = capsys.readouterr().out
    assert "ours alone" in printed and "rollouts, batch 2, 8 + 8 tokens: ceiling" in printed
    content = json.loads((tmp_path / "out.json").read_text())
    assert {row["name"] for row in content["rows"]} == {"rollouts-2", "rollouts-2-ceiling", "reward"}
    assert all(row["ours"]["memory"] > 50e6 for row in content["rows"])
