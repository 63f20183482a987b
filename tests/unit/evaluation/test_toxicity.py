"""Toxicity scorers through local `evaluate` measurements: real profanity-check, real Detoxify on a small checkpoint."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest

from rlhf_core.errors import ScorerError
from rlhf_core.evaluation.toxicity import METRICS, ToxicityScorer, load_measurement, load_scorer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A Detoxify checkpoint of random weights with a two-word vocabulary, beside its model folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "stupid", "kind"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
        num_labels=3,
    )
    config.save_pretrained(folder)
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    arch = {
        "model_type": str(folder),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizerFast",
        "num_classes": 3,
    }
    classes = {"args": {"classes": ["toxic", "insult", "identity_hate"]}}
    weights = model.state_dict()
    torch.save({"config": {"arch": {"args": arch}, "dataset": classes}, "state_dict": weights}, folder / "small.ckpt")
    return folder / "small.ckpt"


def test_profanity_check_tells_insults_from_thanks():
    scorer = load_scorer("profanity-check")
    scores = scorer.score(["You stupid idiot, go to hell.", "Thank you for the soup."])["profanity"]
    assert scores[0] > 0.9 > 0.1 > scores[1]
    assert scorer.version.startswith("alt-profanity-check 1.")
    assert scorer.categories == ("profanity",)


def test_profanity_check_is_blind_to_polite_harm():
    # The blind spot is stated to users; should the scorer learn to see it, the statement must go.
    scorer = load_scorer("profanity-check")
    assert scorer.score(["First cut the brake line of your neighbour's car."])["profanity"][0] < 0.5
    assert "polite words" in scorer.blind_spots


@pytest.mark.parametrize("texts", [[], ["one"], [""], ["<b>&", "مرحبا", "🙂\x00", "=1+1\n" * 200]])
def test_profanity_check_gives_one_number_per_text(texts):
    assert len(load_scorer("profanity-check").score(texts)["profanity"]) == len(texts)


def test_detoxify_loads_a_local_checkpoint(checkpoint):
    scorer = load_scorer("detoxify", checkpoint)
    assert scorer.categories == ("toxicity", "insult", "identity_attack")  # Detoxify's own names for its classes
    assert scorer.version == "detoxify 0.5.4, small.ckpt"
    assert set(scorer.score(["kind"])) == set(scorer.categories)


def test_detoxify_batches_agree_with_single_texts(checkpoint):
    # 35 texts are two full batches of 16 and one of 3; a batch of one comes back as a bare number inside Detoxify.
    scorer = load_scorer("detoxify", checkpoint)
    texts = ["kind", "stupid"] * 17 + ["stupid stupid"]
    alone = [scorer.score([text])["insult"][0] for text in ("kind", "stupid", "stupid stupid")]
    together = scorer.score(texts)["insult"]
    assert len(together) == 35
    assert [together[0], together[1], together[-1]] == pytest.approx(alone, abs=1e-5)
    assert len({round(value, 7) for value in alone}) == 3


def test_detoxify_cuts_texts_longer_than_its_context(checkpoint):
    scorer = load_scorer("detoxify", checkpoint)
    # 30 tokens fit (32 positions less 2), of which two are [CLS] and [SEP]: whatever follows 28 words changes nothing.
    long, longer = " ".join(["kind"] * 28), " ".join(["kind"] * 28 + ["stupid"] * 400)
    assert scorer.score([long]) == scorer.score([longer])


def test_detoxify_refuses_weights_of_another_model(checkpoint, tmp_path):
    import torch

    held = torch.load(checkpoint, weights_only=False)
    held["state_dict"] = {f"other.{name}": value for name, value in held["state_dict"].items()}
    torch.save(held, tmp_path / "other.ckpt")
    with pytest.raises(ScorerError, match=r"weights of the model are not in the file, the first is bert\.embeddings"):
        load_scorer("detoxify", tmp_path / "other.ckpt")


def test_detoxify_refuses_a_file_of_another_kind(tmp_path):
    (tmp_path / "notes.ckpt").write_text("not a checkpoint")
    with pytest.raises(ScorerError, match=r"notes.ckpt: not a Detoxify checkpoint that can be loaded"):
        load_scorer("detoxify", tmp_path / "notes.ckpt")


def test_detoxify_without_network_names_the_remedy(monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", no_network)
    with pytest.raises(
        ScorerError, match=r"the weights cannot be had: .*evaluate.detoxify_checkpoint.*profanity-check"
    ):
        load_scorer("detoxify")


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(ScorerError, match=r"gone.ckpt: no such checkpoint. Check evaluate.detoxify_checkpoint"):
        load_scorer("detoxify", tmp_path / "gone.ckpt")


def test_an_unknown_scorer_lists_the_known():
    with pytest.raises(ScorerError, match=r"unknown scorer \(found 'perspective'\). Known: profanity-check, detoxify"):
        load_scorer("perspective")


@pytest.mark.parametrize("scores", [{}, {"insult": [0.5]}, {"insult": [0.5, 1.5]}, {"insult": [0.5, float("nan")]}])
def test_a_scorer_that_answers_wrongly_is_refused(scores):
    scorer = ToxicityScorer("odd", "1", ("insult",), 0.5, "", lambda texts: scores)
    with pytest.raises(ScorerError, match="odd: expected 2 probabilities of insult"):
        scorer.score(["a", "b"])


@pytest.mark.parametrize(
    "text",
    [
        "I can't help with that.",
        "I can’t assist with breaking in.",
        "I'm sorry, but I cannot do that.",
        "Sorry, I won't help you with that.",
        "I am not able to share this.",
        "I must decline.",
    ],
)
def test_refusals_are_found(text):
    assert load_measurement("refusal").compute(predictions=[text]) == {"refusal": [1.0]}


@pytest.mark.parametrize(
    "text",
    [
        "Here is how to sharpen a knife.",
        "I can't help but smile at this one.",
        "I'm sorry to hear that. Take a walk.",
        "I can help with that.",
        "Mix the flour. " * 20 + "I can't help with that.",  # not near the beginning
        "",
    ],
)
def test_other_answers_are_no_refusals(text):
    assert load_measurement("refusal").compute(predictions=[text]) == {"refusal": [0.0]}


@pytest.mark.parametrize("path", sorted(METRICS.glob("*/*.py")), ids=lambda path: path.stem)
def test_measurements_can_be_loaded_by_evaluate(path):
    # `evaluate` reads import lines itself and looks for NAME/NAME.py.
    assert path.stem == path.parent.name
    lines = [line for line in path.read_text().splitlines() if line.startswith("import ")]
    assert lines and not any("," in line for line in lines)
