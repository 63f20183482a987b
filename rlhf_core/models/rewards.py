"""The reward model: one score for a response to a prompt, normalised to mean 0 and sd 1 on reference samples.

It is a plain `AutoModelForSequenceClassification` with one label: an encoder pools, a decoder reads its last real token.
Where people want the opposite of one kind of prompt what they want of another, it has a label for each category of prompts
(Touvron et al. 2023, arXiv 2307.09288, section 3.2.2, with two models), which share all below the score head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlhf_core.config import RewardConfig
from rlhf_core.config.rewards import Combination
from rlhf_core.data.io import write_json
from rlhf_core.errors import ModelError
from rlhf_core.models.heads import init_reward_head
from rlhf_core.models.lora import add_adapters
from rlhf_core.models.reading import pair_inputs, score_by_length
from rlhf_core.models.sources import load_classifier, load_tokenizer, read_json, resolve
from rlhf_core.ops.ensembles import ensemble_mean, ensemble_penalised, ensemble_worst
from rlhf_core.ops.text_masks import position_ids

FORMAT = "reward_model.json"
HEADS = ("score", "classifier")
SAME = 1e-6  # a spread of raw scores that rounding alone can make


class RewardModel(nn.Module):
    """A sequence classifier, its tokenizer, and the two constants of its normalisation, mean and sd.

    `categories` name the heads of a model that has several, in their order. A text is scored by the head of its category,
    and by the mean of all heads where it has none or one that is not among them; each of these has constants of its own.
    """

    def __init__(
        self, classifier: Any, tokenizer: Any, source: str, max_length: int, categories: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.classifier, self.tokenizer = classifier, tokenizer
        self.tokenizer.truncation_side = "left"
        self.source, self.max_length = source, max_length
        self.categories = tuple(categories)
        self.constants = dict.fromkeys(("", *self.categories), (0.0, 1.0))
        self.category = ""
        """The category of texts of which none is said."""
        self.eval()  # dropout stays off, in training too

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.classifier.parameters()).device

    def tokenize(self, prompts: Sequence[str], responses: Sequence[str]) -> dict[str, Tensor]:
        """Return inputs for (prompt, response) pairs, padded on the right; see `pair_inputs`."""
        return pair_inputs(self.tokenizer, prompts, responses, self.max_length)

    def forward(self, batch: dict[str, Tensor]) -> Float[Tensor, "batch heads"]:
        """Return what every head says, before normalisation."""
        batch = {name: column.to(self.device) for name, column in batch.items()}
        positions = position_ids(batch["attention_mask"].bool())
        return self.classifier(**batch, position_ids=positions).logits.float()

    def raw_scores(
        self, prompts: Sequence[str], responses: Sequence[str], categories: Sequence[str] | None = None
    ) -> Float[Tensor, "batch"]:
        """Return scores before normalisation, in the given order; computed in chunks of similar length to waste no padding."""
        heads = score_by_length(lambda p, r: self(self.tokenize(p, r)), prompts, responses)
        return (heads * self._shares(self._known(categories, len(responses))).to(heads.device)).sum(1)

    @torch.no_grad()
    def score(
        self, prompts: Sequence[str], responses: Sequence[str], categories: Sequence[str] | None = None
    ) -> Float[Tensor, "batch"]:
        """Return normalised scores of texts, (raw − mean)/sd, on the processor, as every scorer does."""
        known = self._known(categories, len(responses))
        mean, sd = torch.tensor([self.constants[name] for name in known]).unbind(1)
        return (self.raw_scores(prompts, responses, known).cpu() - mean) / sd

    def normalise_on(self, prompts: Sequence[str], responses: Sequence[str]) -> None:
        """Set the constants so that scores of these reference-policy samples have mean 0 and sd 1, by whichever head.

        Raises:
            ModelError: all samples score the same.
        """
        for name in self.constants:
            with torch.no_grad():
                raw = self.raw_scores(prompts, responses, [name] * len(responses))
            if not raw.std() > SAME:
                raise ModelError(
                    "scores every reference sample the same", where="reward model", value=name or None,
                    remedy="Train it longer",
                )  # fmt: skip
            self.constants[name] = (raw.mean().item(), raw.std(unbiased=False).item())

    @property
    def normalisation(self) -> dict[str, Any]:
        """The constants as they are written: mean and sd, and those of each category."""
        (mean, sd), own = self.constants[""], {name: self.constants[name] for name in self.categories}
        return {"mean": mean, "sd": sd} | ({"categories": own} if own else {})

    def save(self, folder: Path) -> None:
        """Write weights (or the adapter with its score head), tokenizer and normalisation."""
        folder.mkdir(parents=True, exist_ok=True)
        self.classifier.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_json(folder / FORMAT, {"base": self.source, "max_length": self.max_length} | self.normalisation)

    def of_category(self, name: str) -> RewardModel:
        """Let texts of which no category is said be of this one; return the model.

        Raises:
            ModelError: it has no such head.
        """
        if name not in self.constants:
            known = ", ".join(self.categories) or "Train it with reward.by_category=true"
            raise ModelError("the reward model has no head for it", where="category", value=name, remedy=known)
        self.category = name
        return self

    def _known(self, categories: Sequence[str] | None, count: int) -> list[str]:
        """The head of each text: its category, or "" for the mean of all."""
        names = [self.category] * count if categories is None else categories
        return [name if name in self.constants else "" for name in names]

    def _shares(self, names: Sequence[str]) -> Float[Tensor, "batch heads"]:
        """What each head counts in the score of each text."""
        heads = max(1, len(self.categories))
        own = {name: [float(n == k) for n in range(heads)] for k, name in enumerate(self.categories)}
        return torch.tensor([own.get(name, [1 / heads] * heads) for name in names])


class RewardEnsemble:
    """Several reward models that score as one, each normalised by itself (Coste et al. 2023, arXiv 2310.02743)."""

    def __init__(self, members: Sequence[RewardModel], combine: Combination = "mean", penalty: float = 0.1) -> None:
        self.members, self.combine, self.penalty = list(members), combine, penalty

    @property
    def source(self) -> str:
        """What the members were built on."""
        return self.members[0].source

    def to(self, device: torch.device) -> RewardEnsemble:
        """Move every member, as a single model's `to`."""
        for member in self.members:
            member.to(device)
        return self

    def member_scores(
        self, prompts: Sequence[str], responses: Sequence[str], categories: Sequence[str] | None = None
    ) -> Float[Tensor, "members batch"]:
        """Return every member's normalised scores."""
        return torch.stack([member.score(prompts, responses, categories) for member in self.members])

    def of_category(self, name: str) -> RewardEnsemble:
        """As a single model's."""
        self.members = [member.of_category(name) for member in self.members]
        return self

    def combined(self, scores: Float[Tensor, "members batch"]) -> Float[Tensor, "batch"]:
        """Return one score per response: the mean, the worst, or the mean less the price of the variance."""
        if self.combine == "penalised":
            return ensemble_penalised(scores, self.penalty)
        return ensemble_worst(scores) if self.combine == "worst" else ensemble_mean(scores)

    def score(
        self, prompts: Sequence[str], responses: Sequence[str], categories: Sequence[str] | None = None
    ) -> Float[Tensor, "batch"]:
        """Return the members' combined scores of texts."""
        return self.combined(self.member_scores(prompts, responses, categories))

    __call__ = score

    def save(self, folder: Path) -> None:
        """Write the members into folders of their own, and last the file that names them."""
        names = [f"member-{n}" for n in range(len(self.members))]
        for name, member in zip(names, self.members, strict=True):
            member.save(folder / name)
        write_json(folder / FORMAT, {"members": names})


def new_reward_model(config: RewardConfig, generator: torch.Generator, categories: Sequence[str] = ()) -> RewardModel:
    """Build an untrained reward model on a pretrained encoder or decoder, with a freshly drawn head.

    With `categories` it has one for each. All that is drawn depends on `generator` alone. A classifier's own head is dropped,
    however many labels it has.

    Raises:
        ModelError: the backbone has no linear score head, or weights of it do not fit.
    """
    tokenizer = load_tokenizer(config.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())  # adapters, and a pooler that was not saved, draw from this stream
        classifier = _backbone(config.model, tokenizer, categories)
        init_reward_head(score_head(classifier), generator)
        if config.lora:
            classifier = add_adapters(classifier, config.lora, "SEQ_CLS")
    return RewardModel(classifier, tokenizer, config.model, config.max_length, categories)


def load_reward_model(folder: str | Path) -> RewardModel | RewardEnsemble:
    """Load a saved reward model, or the mean of several; its scores equal those it gave before saving.

    Raises:
        ModelError: the folder is not a reward model of ours.
    """
    members = load_members([folder])
    return members[0] if len(members) == 1 else RewardEnsemble(members)


def load_members(folders: Sequence[str | Path]) -> list[RewardModel]:
    """Load the reward models of all folders, those inside an ensemble's folder one by one.

    Raises:
        ModelError: a folder is not a reward model of ours.
    """
    members: list[RewardModel] = []
    for folder in folders:
        path = resolve(folder)
        if not (path / FORMAT).is_file():
            remedy = "Train one with `rlhf reward CONFIG`"
            raise ModelError(f"not a reward model: no {FORMAT}", where=path, remedy=remedy)
        about = read_json(path / FORMAT)
        names = about.get("members")
        members += load_members([path / name for name in names]) if names else [_saved(path, about)]
    return members


def _saved(path: Path, about: dict[str, Any]) -> RewardModel:
    tokenizer = load_tokenizer(path)
    own: Mapping[str, tuple[float, float]] = about.get("categories", {})
    if (path / "adapter_config.json").is_file():
        from peft import PeftModel

        classifier: Any = PeftModel.from_pretrained(_backbone(about["base"], tokenizer, list(own)), str(path))
    else:
        classifier, _ = load_classifier(path)
        classifier.config.pad_token_id = tokenizer.pad_token_id
    model = RewardModel(classifier, tokenizer, about["base"], about["max_length"], list(own))
    model.constants = {"": (about["mean"], about["sd"])} | {name: (mean, sd) for name, (mean, sd) in own.items()}
    return model.requires_grad_(False)


def _backbone(source: str | Path, tokenizer: Any, categories: Sequence[str]) -> Any:
    """A classifier of one label, or one for each category, whose head is still to be drawn."""
    labels = {"id2label": dict(enumerate(categories))} if categories else {"num_labels": 1}
    model, about = load_classifier(source, **labels, ignore_mismatched_sizes=True)
    names = sorted(name for name, *_ in about["mismatched_keys"])
    if other := [name for name in names if name.split(".")[0] not in HEADS]:
        raise ModelError("weights do not fit the model's configuration", where=source, value=other)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def score_head(classifier: Any) -> nn.Linear:
    """Return the layer that turns a text's state into scores.

    Raises:
        ModelError: the architecture has no linear one by a known name.
    """
    for name in HEADS:
        if isinstance(head := getattr(classifier, name, None), nn.Linear):
            return head
    raise ModelError(
        "has no linear score head", where=type(classifier).__name__, remedy="Use a BERT- or Llama-like model"
    )
