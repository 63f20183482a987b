"""How to use a model that has left as a plain folder: what its model card says, and the code that loads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rlhf_core.report.blocks import Block, Bullets, Heading, Prose, Verbatim
from rlhf_core.report.words import count


@dataclass(frozen=True)
class LeftPolicy:
    """A policy in a plain folder.

    Attributes:
        stage: which one made it, sft or ppo.
        base: what its adapter belongs on; empty for whole weights.
        rounded: what the weights below the adapter are not: those of this hub id, which their package rounds.
        encodes: whether an encoder reads the prompt, so that what `generate` returns is the response alone.
        chat: whether the tokenizer has a chat template; else the prompt is given as text.
    """

    stage: str
    system_prompt: str
    temperature: float
    max_new_tokens: int
    base: str = ""
    rounded: str = ""
    encodes: bool = False
    chat: bool = True


@dataclass(frozen=True)
class LeftRewardModel:
    """A reward model in a plain folder.

    Attributes:
        labels: names of the logits, in their order; one, or the categories of prompts.
        members: of an ensemble, each in a folder of its own; 1 for a single model.
        chat: whether it reads a chat, not a pair of texts.
        offset: whether config.json holds what is to be added to the logits; else the score head does.
    """

    labels: tuple[str, ...]
    max_length: int
    members: int = 1
    chat: bool = False
    offset: bool = False


Left = LeftPolicy | LeftRewardModel

ASK = """inputs = tokenizer.apply_chat_template(
    [{"role": "user", "content": "Why is the sky blue?"}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
)"""
ASK_PLAIN = 'inputs = tokenizer("Why is the sky blue?", return_tensors="pt")'
ANSWER = "output = model.generate(**inputs, generation_config=GenerationConfig.from_pretrained(folder))"
PRINT = 'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
PRINT_PLAIN = "print(tokenizer.decode(output[0], skip_special_tokens=True))"
PAIR = 'inputs = tokenizer(prompt, response, truncation="only_first", return_tensors="pt")'
CHAT = """chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
inputs = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), truncation=True, return_tensors="pt")"""


def use_blocks(left: Left) -> list[Block]:
    """Return the section of a card that says how to load the folder it lies in."""
    code, notes = (
        (_policy_code(left), _policy_notes(left))
        if isinstance(left, LeftPolicy)
        else (_reward_code(left), _reward_notes(left))
    )
    return [
        Heading("How to use it"),
        Prose("Let folder be the folder of this file."),
        Verbatim(code),
        Bullets([*notes]),
    ]


def _policy_code(left: LeftPolicy) -> str:
    kind = "AutoModelForSeq2SeqLM" if left.encodes else "AutoModelForCausalLM"
    load = [f"model = {kind}.from_pretrained(folder)"]
    also = []
    if left.base:
        also = ["from peft import PeftModel"]
        load = [
            f"base = {left.base!r}  # the model below the adapter",
            f"model = PeftModel.from_pretrained({kind}.from_pretrained(base), folder)",
        ]
    lines = [
        *also,
        f"from transformers import {kind}, AutoTokenizer, GenerationConfig",
        "",
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        *load,
        ASK if left.chat else ASK_PLAIN,
        ANSWER,
        PRINT_PLAIN if left.encodes else PRINT,
    ]
    return "\n".join(lines)


def _policy_notes(left: LeftPolicy) -> Iterator[str]:
    if left.system_prompt and not left.chat:
        yield f"In training this and an empty line stood before every prompt: “{left.system_prompt}”"
    elif left.system_prompt:
        yield f"A conversation without a system prompt gets the one the model was trained with: “{left.system_prompt}”"
    yield (
        f"generation_config.json holds how its answers were sampled: temperature {left.temperature:g}, at most "
        f"{count(left.max_new_tokens, 'new token')}, no top-k."
    )
    if left.base:
        yield "One adapter holds what every stage of training changed; it belongs on the model named above and no other."
    if left.rounded:
        yield (
            f"The weights below it were rounded by the package they came in. On those of {left.rounded} it gives other "
            "answers than were measured here; exported whole, the model brings its own."
        )


def _reward_code(left: LeftRewardModel) -> str:
    several = left.members > 1
    where = "member" if several else "folder"
    offset = " + torch.tensor(model.config.score_offset)" if left.offset else ""
    body = [
        f"tokenizer = AutoTokenizer.from_pretrained({where})",
        f"model = AutoModelForSequenceClassification.from_pretrained({where})",
        CHAT if left.chat else PAIR,
        f"score = model(**inputs).logits[0]{offset}",
    ]
    if several:
        inside = "\n".join(body).replace("\n", "\n    ")
        body = [
            f"scores = []\nfor member in sorted(Path(folder).glob('member-*')):\n    {inside}\n    scores.append(score)"
        ]
        body.append("score = torch.stack(scores).mean(0)")
    imports = [
        *(["from pathlib import Path"] if several else []),
        *(["import torch"] if several or offset else []),
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
    ]
    return "\n".join([*imports, "", *body])


def _reward_notes(left: LeftRewardModel) -> Iterator[str]:
    yield "Scores have mean 0 and standard deviation 1 on answers of the policy that PPO began with; higher is better."
    if left.offset:
        yield (
            "The score head of this architecture has no bias that could hold it, so what makes the mean 0 is to be added to the "
            "logits: score_offset in config.json. Differences between scores do without."
        )
    if len(left.labels) > 1:
        yield f"Each category of prompts has a logit of its own, in this order: {', '.join(left.labels)}."
    if left.members > 1:
        yield f"It is {count(left.members, 'model')}; their scores are averaged."
    yield "It reads a conversation as one prompt: each turn after User: or Assistant:, with empty lines between them."
    yield (
        f"It read at most {left.max_length} tokens in training; what is longer loses its beginning, and only a response "
        "that is too long by itself its end."
    )
