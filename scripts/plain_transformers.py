"""Completions and scores of folders that `rlhf export` wrote, with transformers, peft and torch, and nothing of this project.

    python scripts/plain_transformers.py ROWS.jsonl FOLDER...

A row is {"prompt": …} for a policy and {"prompt": …, "response": …} for a reward model. For every row and folder one line of
JSON is printed: a policy's completion with the log-probability of each of its tokens, or a reward model's scores by label.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
)


def main(rows_file: str, *folders: str) -> None:
    """Print what the models in the folders make of the rows."""
    rows = [json.loads(line) for line in Path(rows_file).read_text(encoding="utf-8").splitlines() if line.strip()]
    for folder in folders:
        for row, result in zip(rows, results(Path(folder), rows), strict=True):
            print(json.dumps({"folder": folder, "prompt": row["prompt"]} | result, ensure_ascii=False))


def results(folder: Path, rows: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Return what one folder says of every row."""
    members = sorted(folder.glob("member-*"))
    if members:
        found = [list(scores(member, rows)) for member in members]
        each_row = zip(*found, strict=True)
        return ({name: sum(one[name] for one in each) / len(each) for name in each[0]} for each in each_row)
    if (folder / "config.json").is_file() and "SequenceClassification" in (folder / "config.json").read_text():
        return scores(folder, rows)
    return completions(folder, rows)


@torch.no_grad()
def completions(folder: Path, rows: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield a completion of every prompt, sampled as the folder's generation settings say."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load_policy(folder)
    settings = GenerationConfig.from_pretrained(folder)
    for row in rows:
        inputs = policy_inputs(tokenizer, row["prompt"])
        torch.manual_seed(0)
        output = model.generate(**inputs, generation_config=settings)
        if model.config.is_encoder_decoder:
            new = output[0, 1:]  # behind what its decoder starts with
            logits = model(**inputs, decoder_input_ids=output[:, :-1]).logits[0].float()
        else:
            start = inputs["input_ids"].shape[1]
            new = output[0, start:]
            logits = model(input_ids=output).logits[0, start - 1 : -1].float()
        logprobs = logits.log_softmax(-1).gather(1, new.unsqueeze(1)).squeeze(1)
        text = tokenizer.decode(new, skip_special_tokens=True).strip()
        yield {"completion": text, "tokens": new.tolist(), "logprobs": logprobs.tolist()}


def policy_inputs(tokenizer: Any, prompt: str) -> Any:
    """Return a prompt as the model was asked in training: in its chat format, or as text where it has none."""
    if not tokenizer.chat_template:
        return tokenizer(prompt, return_tensors="pt")
    chat = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")


@torch.no_grad()
def scores(folder: Path, rows: list[dict[str, str]]) -> Iterator[dict[str, float]]:
    """Yield the scores of every response by label; most models have one, called score."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    offset = torch.tensor(getattr(model.config, "score_offset", 0.0))  # where a score head has no bias
    for row in rows:
        logits = model(**reward_inputs(tokenizer, row["prompt"], row["response"])).logits[0] + offset
        yield {model.config.id2label[n]: value for n, value in enumerate(logits.tolist())}


def reward_inputs(tokenizer: Any, prompt: str, response: str) -> Any:
    """Return a prompt with its response as the model read them in training; a long prompt loses its beginning."""
    if tokenizer.chat_template:
        chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        return tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), truncation=True, return_tensors="pt")
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add(pair=True) - 1
    ends = tokenizer(response, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    if len(ends) > room:
        response = response[: ends[room - 1][1]]
    return tokenizer(prompt, response, truncation="only_first", return_tensors="pt")


def load_policy(folder: Path) -> Any:
    """Return the language model of a folder: whole, or an adapter on the model that its configuration names."""
    about = folder / "adapter_config.json"
    below = json.loads(about.read_text())["base_model_name_or_path"] if about.is_file() else folder
    encodes = AutoConfig.from_pretrained(below).is_encoder_decoder
    model = (AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM).from_pretrained(below)
    if about.is_file():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
    return model.eval()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
