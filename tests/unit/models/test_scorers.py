"""Scorers: a label called by its name, a function, a mixture; and what each says when something does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from rlhf_core.config.rewards import ClassifierReward
from rlhf_core.errors import ModelError, ScorerError
from rlhf_core.models.rewards import RewardEnsemble, new_reward_model
from rlhf_core.models.scorers import (
    Component,
    LabelScorer,
    Mixture,
    checked_scores,
    import_function,
    score_with_parts,
)
from tests.engine import reward_config, vowels, write_bert

LABELS = ("hate", "neutral", "nothate")
PROMPTS = ["Why?", "Tell me about tea", "Go on", "Sing"]
ANSWERS = ["Because.", "It is a hot drink made of leaves.", "No", "La la la la"]


def bert(folder: Path, labels: Sequence[str] = LABELS, **settings: Any) -> Path:
    """A classifier whose weights are large enough for its logits to differ from text to text."""
    return write_bert(folder, labels=labels, initializer_range=0.5, **settings)


def source(folder: Path, label: str = "nothate", **fields: Any) -> ClassifierReward:
    return ClassifierReward(name="kind", model=str(folder), label=label, **({"max_length": 96} | fields))


def logits(scorer: LabelScorer, *texts: str) -> Tensor:
    """All labels' logits of one text, or pair of texts, by itself."""
    with torch.no_grad():
        return scorer.classifier(**scorer.tokenizer(*texts, return_tensors="pt")).logits[0]


@pytest.mark.parametrize(("reads", "label"), [("response", "nothate"), ("response", "hate"), ("pair", "nothate")])
def test_a_label_is_found_by_its_name_and_scored_by_its_logit(reads: str, label: str, tmp_path: Path):
    """Claim 15: each text alone, at the place the configuration gives the label; batched, sorted and padded inside."""
    scorer = LabelScorer(source(bert(tmp_path), label, reads=reads))
    prompts, answers = PROMPTS * 5, [a + "!" * n for n, a in enumerate(ANSWERS * 5)]  # two batches
    texts = [(p, a) if reads == "pair" else (a,) for p, a in zip(prompts, answers, strict=True)]
    expected = torch.stack([logits(scorer, *t)[LABELS.index(label)] for t in texts])
    torch.testing.assert_close(scorer(prompts, answers), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("kind", [None, "multi_label_classification"])
def test_probabilities_are_a_softmax_over_labels_or_a_sigmoid_where_several_hold(kind: str | None, tmp_path: Path):
    folder = bert(tmp_path, problem_type=kind)
    probability, logprob, raw = (
        LabelScorer(source(folder, output=output))(PROMPTS, ANSWERS) for output in ("probability", "logprob", "logit")
    )
    scorer = LabelScorer(source(folder))
    everything = torch.stack([logits(scorer, a) for a in ANSWERS])
    expected = everything.sigmoid()[:, 2] if kind else everything.exp()[:, 2] / everything.exp().sum(1)
    torch.testing.assert_close(probability, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(logprob, probability.log(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(raw, everything[:, 2], atol=1e-5, rtol=1e-5)


def test_one_label_alone_is_a_sigmoid(tmp_path: Path):
    """A softmax over one label would be 1 whatever the text."""
    folder = bert(tmp_path, ("toxic",))
    raw = LabelScorer(source(folder, "toxic"))(PROMPTS, ANSWERS)
    torch.testing.assert_close(
        LabelScorer(source(folder, "toxic", output="probability"))(PROMPTS, ANSWERS), raw.sigmoid()
    )


def test_an_unknown_label_is_refused_with_those_there_are(tmp_path: Path):
    bert(tmp_path)
    with pytest.raises(ModelError, match=r"has no such label \(found 'nohate'\)\. Its labels: hate, neutral, nothate"):
        LabelScorer(source(tmp_path, "nohate"))


def test_a_model_without_a_trained_head_is_refused(tmp_path: Path):
    """Its head would be drawn at random and mean nothing."""
    bert(tmp_path, ("LABEL_0", "LABEL_1"))
    config = BertConfig.from_pretrained(tmp_path)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"not a trained sequence classifier: weights are missing.*classifier\.bias"):
        LabelScorer(source(tmp_path, "LABEL_1"))


@pytest.mark.parametrize("reads", ["response", "pair"])
def test_a_long_prompt_loses_its_beginning_and_a_long_response_its_end(reads: str, tmp_path: Path):
    """What is read of 300 characters: with 96 tokens less specials, the response's first ones, and the prompt's last."""
    scorer = LabelScorer(source(bert(tmp_path), reads=reads))
    long = "".join(chr(33 + n % 90) for n in range(300))
    same = {"response": [(long, long[:94])], "pair": [(long, long[:92])]}[
        reads
    ]  # [CLS] … [SEP], a token of prompt [SEP]
    for whole, cut in same:
        assert torch.equal(scorer(["a"], [whole]), scorer(["a"], [cut]))
        assert not torch.equal(scorer(["a"], [whole]), scorer(["a"], [cut[:-1]]))
    if reads == "pair":  # "ok" and three specials leave 91 tokens of prompt
        assert torch.equal(scorer([long], ["ok"]), scorer([long[-91:]], ["ok"]))


def good(prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    return [float("good" in r) for r in responses]


def test_a_mixture_is_the_weighted_sum_and_names_its_parts():
    """Claim 15: 2·vowels − 3·good; `good` has two vowels."""
    mixture = Mixture((Component("vowels", 2.0, vowels), Component("good", -3.0, good)))
    total, parts = mixture.measure(["", ""], ["good", "sky a"])
    assert total.tolist() == [1.0, 2.0] == mixture(["", ""], ["good", "sky a"]).tolist()
    assert {name: part.tolist() for name, part in parts.items()} == {"vowels": [2.0, 1.0], "good": [1.0, 0.0]}


def test_a_component_of_weight_zero_is_logged_and_changes_nothing():
    mixture = Mixture((Component("vowels", 1.0, vowels), Component("audit", 0.0, good)))
    scores, logged = score_with_parts(mixture, ["", ""], ["good", "sky"])
    assert torch.equal(scores, vowels([], ["good", "sky"]))
    assert logged == {"objective/score_vowels": 1.0, "objective/score_audit": 0.5}


def test_one_component_and_a_plain_function_have_no_parts():
    assert score_with_parts(Mixture((Component("vowels", 1.0, vowels),)), [""], ["go"])[1] == {}
    scores, parts = score_with_parts(vowels, [""], ["go"])
    assert scores.tolist() == [1.0] and parts == {}


def test_an_ensemble_in_a_mixture_says_how_far_its_members_are_apart():
    members = [new_reward_model(reward_config(), torch.Generator().manual_seed(n)) for n in (0, 1)]
    mixture = Mixture((Component("rm", 1.0, RewardEnsemble(members, "worst")),))
    scores, logged = score_with_parts(mixture, PROMPTS, ANSWERS)
    a, b = (m.score(PROMPTS, ANSWERS) for m in members)
    torch.testing.assert_close(scores, torch.minimum(a, b))
    # The standard deviation of two numbers about their mean is half their distance.
    assert logged == {"objective/score_disagreement": pytest.approx((a - b).abs().mean().item() / 2, rel=1e-4)}


@pytest.mark.parametrize("given", [[1, 2], (1.0, 2.0), torch.tensor([1.0, 2.0]), torch.tensor([1, 2]).numpy()])
def test_numbers_of_any_kind_are_scores(given: Any):
    scores = checked_scores(given, 2, "f")
    assert scores.tolist() == [1.0, 2.0] and scores.dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [1.0],
            r"m:f: scores have the wrong shape \(found \[1\]\)\. Return one finite number for each of the 2 responses",
        ),
        ([[1.0], [2.0]], r"m:f: scores have the wrong shape \(found \[2, 1\]\)"),
        (3.0, r"m:f: scores have the wrong shape \(found \[\]\)"),
        ([1.0, float("nan")], r"m:f: 1 of 2 scores are not finite, the first at 1\. Return one"),
        (["good", "bad"], r"m:f: scores are not numbers \(found \['good', 'bad'\]\)"),
        (None, r"m:f: scores are not numbers"),
        ([1.0, None], r"m:f: scores are not numbers"),
    ],
)
def test_anything_else_is_refused_by_the_name_of_its_source(given: Any, message: str):
    with pytest.raises(ScorerError, match=message):
        checked_scores(given, 2, "m:f")


def test_a_function_is_found_by_its_place():
    assert import_function("tests.engine:vowels") is vowels


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("tests.nothing:f", r"tests\.nothing:f: cannot be imported: No module named.*PYTHONPATH"),
        ("tests.engine:consonants", r"tests\.engine:consonants: names no function\. Give package\.module:function"),
        ("tests.engine:PROMPTS", r"tests\.engine:PROMPTS: names no function"),
    ],
)
def test_a_place_without_a_function_is_refused(place: str, message: str):
    with pytest.raises(ScorerError, match=message):
        import_function(place)
