"""Fine-tuning and PPO of an encoder–decoder policy: the plain model's loss, ratios of 1, resuming to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from rlhf_core.config import LoraConfig, OptimConfig, SFTConfig
from rlhf_core.data.collate import collate_padded
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import FIRST_RATIO, train_ppo
from rlhf_core.training.sft import accumulate, batch_nll, train_sft
from rlhf_core.training.stage import Stage
from tests.engine import LORA, episodes, examples, logged, make_stage, move, ppo_config, vowels
from tests.seq2seq import t5_policy, write_t5
from tests.unit.training.test_resume import check_resume

Report = Callable[[int, int, str], None]
SETTINGS = SFTConfig(
    epochs=1, batch_size=2, micro_batch_size=2, eval_every=2, patience=9, optim=OptimConfig(lr=1e-2)
)  # fmt: skip


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_t5(tmp_path_factory.mktemp("models") / "t5")


def ppo(path: Path, report: Report | None, folder: str, **fields: Any) -> tuple[Stage, torch.nn.Module]:
    """Five iterations with an adaptive β and a checkpoint every second one."""
    policy = t5_policy(folder, fields.pop("lora", LORA), dtype=fields.pop("dtype", "float32"))
    stage = make_stage(path, report=report)
    small = {"iterations": 5, "checkpoint_every": 2, "eval_every": 2, "kl_target": 2.0, "kl_horizon": 16}
    config = ppo_config(**(small | fields))
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    return stage, policy


def sft(path: Path, report: Report | None, folder: str) -> tuple[Stage, torch.nn.Module]:
    """Five steps with a checkpoint every second one."""
    policy, stage = t5_policy(folder), make_stage(path, "sft", report=report)
    rows = examples(policy, 12)
    train_sft(policy, rows[:10], rows[10:], SETTINGS, stage)
    return stage, policy


def test_the_loss_is_that_of_the_plain_model_given_labels(t5: str):
    """Claim 7: the sum over rows of transformers' own mean cross-entropy, each times its tokens."""
    policy = move(t5_policy(t5, lora=None), 0.05)
    rows = examples(policy, 5)
    plain = AutoModelForSeq2SeqLM.from_pretrained(t5).eval()
    plain.load_state_dict(policy.lm.state_dict())
    with torch.no_grad():
        nll, tokens = batch_nll(policy, collate_padded(rows, 0))
        losses = [plain(input_ids=torch.tensor([e.prompt]), labels=torch.tensor([e.response])).loss for e in rows]
    expected = sum(loss.item() * len(e.response) for loss, e in zip(losses, rows, strict=True))
    assert nll.item() == pytest.approx(expected, rel=1e-5) and int(tokens) == sum(len(e.response) for e in rows)


def test_accumulation_changes_no_gradient(t5: str):
    found = []
    for size in (1, 4):
        policy = move(t5_policy(t5), 0.1)
        rows, settings = examples(policy, 4), SETTINGS.model_copy(update={"batch_size": 4, "micro_batch_size": size})
        loss = accumulate(policy, rows, settings)
        found.append((loss, [p.grad for p in policy.trainable().values() if p.grad is not None]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for one, four in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, four, atol=1e-6, rtol=1e-4)


def test_fine_tuning_learns(t5: str, tmp_path: Path):
    rows = [row for row in logged(sft(tmp_path, None, t5)[0]) if "eval/loss" in row]
    assert rows[-1]["eval/loss"] < rows[0]["eval/loss"] - 0.05


@pytest.mark.parametrize("fields", [{}, {"lora": None}, {"value_network": "separate"}, {"dtype": "bfloat16"}], ids=str)
def test_the_first_ratio_of_every_iteration_is_one_and_the_first_kl_is_zero(t5: str, tmp_path: Path, fields: Any):
    """Claims 3 and 16; the policy then moves. In bfloat16 (8 bits) other padding is other rounding, of logits of a few units."""
    most = 0.03 if fields.get("dtype") == "bfloat16" else 1e-4
    rows = [row for row in logged(ppo(tmp_path, None, t5, **fields)[0]) if "objective/kl" in row]
    assert len(rows) == 5
    assert all(row[FIRST_RATIO] < most and row["policy/entropy"] >= 0 for row in rows)
    assert rows[0]["objective/kl"] == pytest.approx(0, abs=1e-6) and abs(rows[-1]["objective/kl"]) > 1e-4
    for row in rows:
        assert row["objective/rlhf_reward"] == pytest.approx(
            row["objective/scores"] + row["objective/non_score_reward"], abs=1e-5
        )


def test_ppo_learns_what_it_is_paid_for(t5: str, tmp_path: Path):
    """Random bytes hold a vowel in 30 or so; paid for vowels, it writes more than one in eight tokens after 20 iterations."""
    more = {"iterations": 20, "batch_size": 32, "minibatch_size": 16, "micro_batch_size": 16, "response_length": 8}
    rare = {"eval_every": 20, "checkpoint_every": 20, "kl_target": None, "kl_coef": 0.02, "missing_eos_penalty": 0.0}
    stage, _ = ppo(tmp_path, None, t5, **more, **rare, optim=OptimConfig(lr=2e-2, warmup_ratio=0.0))
    scores = [row["objective/scores"] for row in logged(stage) if "objective/scores" in row]
    assert sum(scores[:5]) / 5 < 0.4 and sum(scores[-5:]) / 5 > 1.0


@pytest.mark.parametrize("stops", [[1], [3], [1, 3, 4]])
def test_fine_tuning_resumes_as_if_nothing_had_happened(t5: str, tmp_path: Path, stops: list[int]):
    check_resume(lambda path, report: sft(path, report, t5), tmp_path, stops)


@pytest.mark.parametrize(("stops", "lora"), [([1], LORA), ([2, 3, 5], LoraConfig(r=2, alpha=4, layers=1)), ([3], None)])
def test_ppo_resumes_as_if_nothing_had_happened(t5: str, tmp_path: Path, stops: list[int], lora: LoraConfig | None):
    """Claim 29."""
    check_resume(lambda path, report: ppo(path, report, t5, lora=lora), tmp_path, stops)
