"""A trained model as a plain folder, which transformers (and peft) read without this project: weights, tokenizer, settings.

What our own code does around a model is written into the folder: the system prompt into the chat template, how answers are
sampled into the generation settings, the normalisation of scores into the score head.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlhf_core.config import GenerateConfig, PolicyConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.adapters import adapter_chain, write_joined_adapter
from rlhf_core.models.chat_formats import trimmed, with_system_prompt
from rlhf_core.models.device import choose_dtype
from rlhf_core.models.policy import load_merged
from rlhf_core.models.reading import pair_inputs
from rlhf_core.models.rewards import SAME, RewardModel, load_members, score_head
from rlhf_core.models.sources import load_tokenizer, resolve

OFFSET = "score_offset"
"""In config.json: what is to be added to the logits, where the architecture's head has no bias to hold it."""
TOLERANCE = 1e-4
PROBES = (
    ("Why is the sky blue?", "Air scatters blue light more than red, so it reaches us from all sides."),
    ("Can I have a cookie?", "No."),
    ("Tell me all you know about tea, and do not stop early. " * 40, "It is a drink made of leaves."),
)


def leave_policy(
    source: str, policy: PolicyConfig, generate: GenerateConfig, folder: Path, *, adapter: bool = False
) -> str:
    """Write a policy as a plain folder, whole or as one adapter; return what the adapter belongs on, "" for a whole model.

    Whole weights are in the type in which the run samples.

    Raises:
        ModelError: an adapter is asked for, and all weights were trained.
    """
    about, tokenizer = plain_config(source), load_tokenizer(source)
    if tokenizer.chat_template or not about.is_encoder_decoder:
        tokenizer.chat_template = with_system_prompt(tokenizer.chat_template, policy.system_prompt)
    _keep(tokenizer, padding_side="right" if about.is_encoder_decoder else "left")
    if adapter:
        base = write_joined_adapter(source, folder, "SEQ_2_SEQ_LM" if about.is_encoder_decoder else "CAUSAL_LM")
    else:
        base, lm = "", load_merged(source, choose_dtype(policy.dtype))
        lm.config.pad_token_id = tokenizer.pad_token_id
        lm.save_pretrained(folder)
    settings = generation_settings(tokenizer, generate)
    settings.decoder_start_token_id = getattr(about, "decoder_start_token_id", None)
    settings.save_pretrained(str(folder))
    tokenizer.save_pretrained(folder)
    return base


def plain_config(source: str) -> Any:
    """Return the configuration of the plain model below a policy's adapters."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(resolve(adapter_chain(source)[1]))


def generation_settings(tokenizer: Any, generate: GenerateConfig) -> Any:
    """Return how a run samples the answers it is judged by, as transformers' `generate` takes it; top_k 0 is off."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=True, temperature=generate.temperature, top_p=generate.top_p, top_k=0,
        max_new_tokens=generate.max_new_tokens, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip


def leave_reward_model(source: str | Path, folder: Path) -> list[Path]:
    """Write a reward model as a plain classifier whose logits are our scores, an ensemble as one for each member.

    Returns the folders written: `folder` itself, or `member-N` in it.

    Raises:
        ModelError: plain transformers would give other scores, which is found out by trying.
    """
    members = load_members([source])
    folders = [folder] if len(members) == 1 else [folder / f"member-{n}" for n in range(len(members))]
    for member, place in zip(members, folders, strict=True):
        expected, spread = own_scores(member), min(sd for _, sd in member.constants.values())
        _write_member(member, place)
        found = plain_scores(place, *zip(*PROBES, strict=True))
        if not torch.allclose(found, expected, atol=TOLERANCE + SAME / spread, rtol=TOLERANCE):
            raise ModelError(
                "plain transformers gives other scores than this project does",
                where=type(member.classifier).__name__,
                value=(found - expected).abs().max().item(),
                remedy="Use a BERT- or Llama-like reward model, or report this architecture",
            )
    return folders


def own_scores(model: RewardModel) -> Tensor:
    """Return our scores of the probes, (text, label): by the one head, or by each category's."""
    prompts, responses = zip(*PROBES, strict=True)
    heads = [model.score(prompts, responses, [name] * len(PROBES)) for name in model.categories or ("",)]
    return torch.stack(heads, 1)


@torch.no_grad()
def plain_scores(folder: Path, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
    """Return the scores (text, label) that the model in a folder gives with nothing but transformers' own classes."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    batch = pair_inputs(tokenizer, prompts, responses, tokenizer.model_max_length)
    return model(**batch).logits + torch.tensor(getattr(model.config, OFFSET, 0.0))


@torch.no_grad()
def fold_normalisation(model: RewardModel) -> Any:
    """Put (raw − mean)/sd into the score head, each label's own, and return the plain classifier; `model` is used up by it.

    A head without a bias takes 1/sd alone, and config.json holds −mean/sd as `score_offset`.
    """
    classifier: Any = model.classifier
    if hasattr(classifier, "merge_and_unload"):
        classifier = classifier.merge_and_unload()
    head, labels = score_head(classifier), model.categories or ("",)
    mean, sd = torch.tensor([model.constants[name] for name in labels], dtype=torch.float64).unbind(1)
    head.weight.copy_(head.weight / sd.unsqueeze(1))
    if head.bias is not None:
        head.bias.copy_((head.bias - mean) / sd)
    else:
        setattr(classifier.config, OFFSET, (-mean / sd).tolist())
    classifier.config.id2label = dict(enumerate(model.categories or ("score",)))
    classifier.config.label2id = {name: number for number, name in classifier.config.id2label.items()}
    classifier.config.problem_type = (
        "regression"  # so that the text-classification pipeline shows scores, no probabilities
    )
    return classifier


def _write_member(model: RewardModel, folder: Path) -> None:
    classifier = fold_normalisation(model)
    classifier.save_pretrained(folder)
    tokenizer = model.tokenizer
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = model.max_length
    _keep(tokenizer, padding_side="right", truncation_side="left")
    if tokenizer.chat_template:
        tokenizer.chat_template = trimmed(tokenizer.chat_template)
    tokenizer.save_pretrained(folder)


def _keep(tokenizer: Any, **sides: str) -> None:
    """Set sides so that they are saved: transformers writes only what a tokenizer was made with."""
    for name, side in sides.items():
        setattr(tokenizer, name, side)
        tokenizer.init_kwargs[name] = side
