"""The reward model: one score for a response to a prompt, normalised to mean 0 and sd 1 on reference samples.

It is a plain `AutoModelForSequenceClassification` with one label: an encoder pools, a decoder reads its last real token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlhf_core.config import RewardConfig
from rlhf_core.data.io import write_json
from rlhf_core.errors import ModelError
from rlhf_core.models.heads import init_reward_head
from rlhf_core.models.policy import add_adapters
from rlhf_core.models.sources import load_tokenizer, read_json, resolve
from rlhf_core.ops.text_masks import position_ids

FORMAT = "reward_model.json"
SCORE_BATCH = 16
SAME = 1e-6  # a spread of raw scores that rounding alone can make


class RewardModel(nn.Module):
    """A sequence classifier with one output, its tokenizer, and the two constants of its normalisation."""

    def __init__(self, classifier: Any, tokenizer: Any, source: str, max_length: int) -> None:
        super().__init__()
        self.classifier, self.tokenizer = classifier, tokenizer
        self.tokenizer.truncation_side = "left"
        self.source, self.max_length = source, max_length
        self.mean, self.sd = 0.0, 1.0
        self.eval()  # dropout stays off, in training too

    def tokenize(self, prompts: Sequence[str], responses: Sequence[str]) -> dict[str, Tensor]:
        """Return inputs for (prompt, response) pairs, padded on the right, where a pooling encoder expects its first token.

        A long prompt loses its beginning, never the response; only a response that is too long by itself is cut.
        A conversation comes as its transcript, which a decoder reads as one message of the user's.
        """
        if self.tokenizer.chat_template:
            texts, cut = [[self._chat(p, r) for p, r in zip(prompts, responses, strict=True)]], True
        else:
            texts, cut = [list(prompts), [self._fitting(r) for r in responses]], "only_first"
        batch = self.tokenizer(
            *texts, truncation=cut, max_length=self.max_length, padding=True, padding_side="right", return_tensors="pt",
        )  # fmt: skip
        return dict(batch)

    def forward(self, batch: dict[str, Tensor]) -> Float[Tensor, "batch"]:
        """Return raw scores, before normalisation."""
        positions = position_ids(batch["attention_mask"].bool())
        return self.classifier(**batch, position_ids=positions).logits.squeeze(-1).float()

    def raw_scores(self, prompts: Sequence[str], responses: Sequence[str]) -> Float[Tensor, "batch"]:
        """Return raw scores of texts in the given order, computed in chunks of similar length to waste no padding."""
        order = sorted(range(len(prompts)), key=lambda n: len(prompts[n]) + len(responses[n]))
        chunks = [order[start : start + SCORE_BATCH] for start in range(0, len(order), SCORE_BATCH)]
        parts = [self(self.tokenize([prompts[n] for n in c], [responses[n] for n in c])) for c in chunks]
        return torch.cat(parts)[torch.tensor(order).argsort()]

    @torch.no_grad()
    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Float[Tensor, "batch"]:
        """Return normalised scores of texts, (raw − mean)/sd."""
        return (self.raw_scores(prompts, responses) - self.mean) / self.sd

    def normalise_on(self, prompts: Sequence[str], responses: Sequence[str]) -> None:
        """Set the constants so that scores of these reference-policy samples have mean 0 and sd 1.

        Raises:
            ModelError: all samples score the same.
        """
        with torch.no_grad():
            raw = self.raw_scores(prompts, responses)
        if not raw.std() > SAME:
            raise ModelError("scores every reference sample the same", where="reward model", remedy="Train it longer")
        self.mean, self.sd = raw.mean().item(), raw.std(unbiased=False).item()

    def save(self, folder: Path) -> None:
        """Write weights (or the adapter with its score head), tokenizer and normalisation."""
        folder.mkdir(parents=True, exist_ok=True)
        self.classifier.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        about = {"base": self.source, "max_length": self.max_length, "mean": self.mean, "sd": self.sd}
        write_json(folder / FORMAT, about)

    def _chat(self, prompt: str, response: str) -> str:
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        return self.tokenizer.apply_chat_template(messages, tokenize=False).strip()

    def _fitting(self, response: str) -> str:
        """The response, cut to what leaves room for one token of prompt."""
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(pair=True) - 1
        spans = self.tokenizer(response, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return response if len(spans) <= room else response[: spans[room - 1][1]]


def new_reward_model(config: RewardConfig, generator: torch.Generator) -> RewardModel:
    """Build an untrained reward model on a pretrained encoder or decoder, with a freshly drawn head."""
    tokenizer = load_tokenizer(config.model)
    classifier = _classifier(config.model, tokenizer)
    init_reward_head(_head(classifier), generator)
    if config.lora:
        classifier = add_adapters(classifier, config.lora, "SEQ_CLS")
    return RewardModel(classifier, tokenizer, config.model, config.max_length)


def load_reward_model(folder: str | Path) -> RewardModel:
    """Load a saved reward model; its scores equal those it gave before saving.

    Raises:
        ModelError: the folder is not a reward model of ours.
    """
    path = resolve(folder)
    if not (path / FORMAT).is_file():
        raise ModelError(f"not a reward model: no {FORMAT}", where=path, remedy="Train one with `rlhf reward CONFIG`")
    about = read_json(path / FORMAT)
    tokenizer = load_tokenizer(path)
    if (path / "adapter_config.json").is_file():
        from peft import PeftModel

        classifier: Any = PeftModel.from_pretrained(_classifier(about["base"], tokenizer), str(path))
    else:
        classifier = _classifier(path, tokenizer)
    model = RewardModel(classifier, tokenizer, about["base"], about["max_length"])
    model.mean, model.sd = about["mean"], about["sd"]
    return model.requires_grad_(False)


def _classifier(source: str | Path, tokenizer: Any) -> Any:
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # "head newly initialised" is what we want here
    try:
        model = AutoModelForSequenceClassification.from_pretrained(resolve(source), num_labels=1, dtype=torch.float32)
    finally:
        logging.set_verbosity(level)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _head(classifier: Any) -> nn.Linear:
    for name in ("score", "classifier"):
        if isinstance(head := getattr(classifier, name, None), nn.Linear):
            return head
    raise ModelError(
        "has no linear score head", where=type(classifier).__name__, remedy="Use a BERT- or Llama-like model"
    )
