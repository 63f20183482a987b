"""Training the reward model: pairs, the K-wise loss over a forward pass, held-out numbers, and that it learns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from rlhf_core.config import OptimConfig
from rlhf_core.data.records import Completion, Ranking
from rlhf_core.errors import DataError
from rlhf_core.models.policy import fingerprint_of
from rlhf_core.models.rewards import RewardModel, new_reward_model
from rlhf_core.ops.losses import pairwise_loss
from rlhf_core.training.reward import (
    evaluate_ranking_loss,
    held_out_scores,
    member_stage,
    pair_indices,
    ranking_loss,
    train_members,
    train_reward,
)
from tests.engine import LORA, logged, make_stage, rankings, reward_config, write_bert


def tiny_reward(**fields: object) -> RewardModel:
    return new_reward_model(reward_config(**fields), torch.Generator().manual_seed(0))


def test_pairs_of_two_rankings_with_a_tie():
    """Claim 10: a > b ~ c gives (a, b), (a, c); z > y gives one pair that counts on from the three before."""
    tied = Ranking(
        id="1", prompt="?", completions=[Completion(id=i, text=i) for i in "cab"], ranking=[["a"], ["b", "c"]]
    )
    other = Ranking(id="2", prompt="?", completions=[Completion(id=i, text=i) for i in "yz"], ranking=[["z"], ["y"]])
    chosen, rejected, owner = pair_indices([tied, other])
    assert sorted(zip(chosen.tolist(), rejected.tolist(), owner.tolist(), strict=True)) == [
        (1, 0, 0),
        (1, 2, 0),
        (4, 3, 1),
    ]


def test_a_ranking_of_k_has_k_choose_two_pairs():
    """Claim 10."""
    letters = "abcdefghi"
    full = Ranking(
        id="1", prompt="?", completions=[Completion(id=i, text=i) for i in letters], ranking=[[i] for i in letters]
    )
    chosen, rejected, _ = pair_indices([full])
    assert len(set(zip(chosen.tolist(), rejected.tolist(), strict=True))) == 36  # 9·8/2
    assert (chosen < rejected).all()


def test_one_forward_pass_equals_the_mean_over_prompts_of_pairwise_losses():
    """Claim 10: each text scored alone, each pair's loss by itself."""
    model, rows = tiny_reward(centering=0.0), rankings(4)
    means = []
    for row in rows:
        scores = {c.id: model.score([row.prompt], [c.text]) for c in row.completions}
        rank = {i: n for n, group in enumerate(row.ranking) for i in group}
        losses = [pairwise_loss(scores[a], scores[b]) for a in rank for b in rank if rank[a] < rank[b]]
        means.append(torch.stack(losses).mean())
    loss, _ = ranking_loss(model, rows, reward_config(centering=0.0))
    assert loss.item() == pytest.approx(torch.stack(means).mean().item(), rel=1e-4)


def test_margin_smoothing_and_centering_are_in_the_loss():
    """Claims 9 and 11: of one prompt with two completions, r_c and r_r apart, every term by hand."""
    settings = reward_config(margin=0.3, label_smoothing=0.1, centering=0.2)
    model = tiny_reward()
    row = rankings(2)[1]
    row = row.model_copy(update={"completions": row.completions[:2], "ranking": [["a"], ["b"]]})
    chosen, rejected = (model.score([row.prompt], [c.text]).item() for c in row.completions)
    lead = chosen - rejected - 0.3
    expected = 0.9 * math.log1p(math.exp(-lead)) + 0.1 * math.log1p(math.exp(lead)) + 0.2 * (chosen + rejected) ** 2
    assert ranking_loss(model, [row], settings)[0].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("backbone", ["decoder", "encoder"])
@pytest.mark.parametrize("lora", [None, LORA])
def test_training_learns_to_order_held_out_pairs(backbone: str, lora: object, tmp_path: Path):
    """Claim 9: the answer with `good` in it wins everywhere, and a few steps are enough to see it on new prompts."""
    source = "tiny" if backbone == "decoder" else str(write_bert(tmp_path / "bert"))
    settings = reward_config(
        model=source, lora=lora, epochs=6, eval_every=8, optim=OptimConfig(lr=1e-2 if lora else 3e-3)
    )
    model = new_reward_model(settings, torch.Generator().manual_seed(0))
    rows, stage = rankings(12), make_stage(tmp_path, "reward")
    train_reward(model, rows[:8], rows[8:], settings, stage, fingerprint_of(model.classifier))
    log = logged(stage)
    first, last = (next(row for row in order if "eval/loss" in row) for order in (log, log[::-1]))
    assert [row["step"] for row in log if "eval/loss" in row] == [0, 8, 16, 24]  # ⌈8/2⌉ steps, 6 epochs
    assert last["eval/accuracy"] >= 0.75 and last["eval/loss"] < 0.69 and last["eval/margin"] > 0
    assert first["step"] == 0 and first["eval/loss"] > last["eval/loss"]
    best = min(row["eval/loss"] for row in log if "eval/loss" in row)
    assert evaluate_ranking_loss(model, rows[8:], settings)["eval/loss"] == pytest.approx(best, rel=1e-4)
    alone = [model.tokenize([row.prompt], [c.text])["input_ids"].numel() for row in rows[:8] for c in row.completions]
    assert sum(row.get("tokens/batch", 0) for row in log) == 6 * sum(alone)  # of one text there is no padding


def contrary(count: int) -> list[Ranking]:
    """Rankings of two categories: of playful prompts people want the opposite of what they want of serious ones."""
    return [
        row.model_copy(update={"category": kind, "ranking": order, "completions": row.completions[:2]})
        for row in rankings(count)
        for kind, order in (("serious", [["a"], ["b"]]), ("playful", [["b"], ["a"]]))
    ]


@pytest.mark.parametrize("by_category", [True, False])
def test_a_head_for_each_category_learns_opposite_wishes_and_a_single_one_cannot(by_category: bool, tmp_path: Path):
    """The texts are the same, so that one score is right on half of the pairs; two heads soon are on all."""
    settings = reward_config(
        by_category=by_category, model=str(write_bert(tmp_path / "bert")), epochs=8, batch_size=4, eval_every=8,
        optim=OptimConfig(lr=3e-3),
    )  # fmt: skip
    rows, stage = contrary(12), make_stage(tmp_path, "reward")
    (model,) = train_members(settings, rows[:16], rows[16:], stage)
    assert model.categories == (("playful", "serious") if by_category else ())
    accuracy = evaluate_ranking_loss(model, rows[16:], settings)["eval/accuracy"]
    assert accuracy == 1.0 if by_category else accuracy == 0.5
    assert held_out_scores(model, rows[16:17])[0] == pytest.approx(
        model.score([rows[16].prompt] * 2, [c.text for c in rows[16].completions], ["serious"] * 2).tolist()
    )


def test_a_pair_teaches_the_head_of_its_category_alone():
    model = new_reward_model(reward_config(), torch.Generator().manual_seed(0), ("playful", "serious"))
    ranking_loss(model, contrary(1)[:1], reward_config())[0].backward()
    playful, serious = model.classifier.score.weight.grad.abs().sum(1).tolist()
    assert playful == 0.0 < serious


def test_heads_by_category_need_two_categories(tmp_path: Path):
    with pytest.raises(DataError, match=r"reward\.by_category"):
        train_members(reward_config(by_category=True), rankings(4), rankings(2), make_stage(tmp_path, "reward"))


def test_with_adapters_only_they_and_the_head_learn(tmp_path: Path):
    settings = reward_config(lora=LORA, epochs=1)
    model = new_reward_model(settings, torch.Generator().manual_seed(0))
    train_reward(model, rankings(4), rankings(2), settings, make_stage(tmp_path, "reward"), "x")
    learnt = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learnt and all("lora_" in name or "modules_to_save" in name for name in learnt)
    assert any("score" in name for name in learnt)


def test_only_the_last_layers_and_the_head_learn_when_asked(tmp_path: Path):
    """The layer below and the embeddings keep every bit; the scores of the trained model survive saving."""
    settings = reward_config(model=str(write_bert(tmp_path / "bert")), layers=1, epochs=1)
    model = new_reward_model(settings, torch.Generator().manual_seed(0))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train_reward(model, rankings(4), rankings(2), settings, make_stage(tmp_path, "reward"), "x")
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert {name for name, p in model.named_parameters() if p.requires_grad} >= changed
    assert any("layer.1." in name for name in changed) and "classifier.classifier.weight" in changed
    assert not any("layer.0." in name or "embeddings" in name for name in changed)


def test_layers_with_adapters_is_refused():
    with pytest.raises(ValueError, match=r"with adapters set lora\.layers"):
        reward_config(lora=LORA, layers=1)


def test_held_out_numbers_by_hand(monkeypatch: pytest.MonkeyPatch):
    """Scores 2, 1, 0 for a, b, c: every pair of a > b > c is right, with margins 1, 2, 1."""
    model = tiny_reward()
    monkeypatch.setattr(
        model, "raw_scores", lambda prompts, texts, categories: torch.tensor([2.0, 1.0, 0.0]).repeat(len(texts) // 3)
    )
    measured = evaluate_ranking_loss(model, rankings(3)[1:], reward_config())
    cost = [torch.nn.functional.softplus(torch.tensor(-m)).item() for m in (1.0, 2.0, 1.0)]
    assert measured["eval/accuracy"] == ranking_loss(model, rankings(3)[1:], reward_config())[1] == 1.0
    assert measured["eval/margin"] == pytest.approx(4 / 3)
    assert measured["eval/loss"] == pytest.approx(sum(cost) / 3, rel=1e-5)
    # All right, so the error is the mean over pairs of 1 − σ(margin): each of the two bins is off by its own.
    off = [1 - torch.tensor(m).sigmoid().item() for m in (1.0, 2.0, 1.0)]
    assert measured["eval/calibration_error"] == pytest.approx(sum(off) / 3, rel=1e-5)
    assert measured["eval/kendall_tau"] == 1.0


def test_a_ranking_of_nothing_but_ties_weighs_nothing():
    """Claim 10: ties are excluded, so a prompt without a pair changes neither loss nor metrics."""
    model, settings = tiny_reward(), reward_config()
    row = rankings(2)[1]
    tie = row.model_copy(update={"ranking": [["a", "b", "c"]]})
    assert evaluate_ranking_loss(model, [row, tie], settings) == pytest.approx(
        evaluate_ranking_loss(model, [row], settings)
    )
    loss, _ = ranking_loss(model, [tie], settings)
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_nothing_but_ties_held_out_is_missing_not_a_number():
    tie = rankings(1)[0].model_copy(update={"ranking": [["a", "b", "c"]]})
    measured = evaluate_ranking_loss(tiny_reward(), [tie], reward_config())
    assert all(math.isnan(value) for value in measured.values())


def test_members_differ_in_head_and_order_and_log_apart(tmp_path: Path):
    """Claim 15: the same split, other random numbers."""
    settings, stage = reward_config(members=2, epochs=1), make_stage(tmp_path, "reward")
    heads = [
        new_reward_model(settings, member_stage(stage, n, 2).generator("head")).classifier.score.weight for n in (0, 1)
    ]
    assert not torch.equal(*heads)
    orders = [torch.randperm(50, generator=member_stage(stage, n, 2).generator("epoch", 0)).tolist() for n in (0, 1)]
    assert orders[0] != orders[1]
    models = train_members(settings, rankings(4), rankings(2), stage)
    assert not torch.equal(*(m.score(["Why?"], ["So."]) for m in models))
    assert (
        [row["step"] for row in logged(stage)]
        == [row["step"] for row in logged(member_stage(stage, 1, 2))]
        == [0, 1, 2, 2]
    )
    assert logged(stage) != logged(member_stage(stage, 1, 2))


def test_one_model_alone_trains_as_ever(tmp_path: Path):
    """In the stage's own folder and streams, equal to training it without the wrapper."""
    settings = reward_config(epochs=1)
    a, b = make_stage(tmp_path / "a", "reward"), make_stage(tmp_path / "b", "reward")
    [model] = train_members(settings, rankings(4), rankings(2), a)
    same = new_reward_model(settings, b.generator("head"))
    train_reward(same, rankings(4), rankings(2), settings, b, fingerprint_of(same.classifier))
    assert logged(a) == logged(b) and torch.equal(model.score(["Why?"], ["So."]), same.score(["Why?"], ["So."]))
    assert sorted(path.name for path in a.path.iterdir()) == ["checkpoints", "metrics.jsonl"]


def test_progress_counts_through_all_members(tmp_path: Path):
    said: list[str] = []
    stage = make_stage(tmp_path, "reward", report=lambda step, total, message: said.append(f"{step}/{total} {message}"))
    train_members(reward_config(members=2, epochs=1), rankings(4), rankings(2), stage)
    assert [line.split(",")[0].rsplit(" ", 2)[0] for line in said] == [
        "1/4 model 1 of 2:", "2/4 model 1 of 2:", "3/4 model 2 of 2:", "4/4 model 2 of 2:",
    ]  # fmt: skip


def test_in_bfloat16_only_products_are_rounded(tmp_path: Path):
    """Linear layers give bfloat16, scores, loss and gradients are float32, and held-out numbers are full precision."""
    seen: set[torch.dtype] = set()
    losses = {}
    for dtype in ("float32", "bfloat16"):
        model, stage = tiny_reward(), make_stage(tmp_path / dtype, "reward")
        linear = next(m for m in model.modules() if isinstance(m, torch.nn.Linear))
        handle = linear.register_forward_hook(
            lambda module, inputs, output: seen.add(output.dtype) if output.requires_grad else None
        )
        settings = reward_config(epochs=1, dtype=dtype)
        train_reward(model, rankings(4), rankings(2), settings, stage, "x")
        handle.remove()
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        log = logged(stage)
        losses[dtype] = log[1]["train/loss"]
        exact = evaluate_ranking_loss(model, rankings(2), settings)
        assert {name: log[-1][name] for name in exact} == exact
    assert seen == {torch.float32, torch.bfloat16}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.02)
    assert losses["bfloat16"] != losses["float32"]
