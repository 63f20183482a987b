"""Pretraining as a run: what it leaves, that it is skipped, resumed or set aside, and what it refuses before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlhf_core import pretraining
from rlhf_core.config import LoraConfig, PolicyConfig
from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.data.tokens import IDS
from rlhf_core.errors import DataError, RlhfError
from rlhf_core.models.policy import load_policy
from rlhf_core.models.rewards import new_reward_model
from rlhf_core.pipeline import stage_inputs
from rlhf_core.pretraining import run_pretrain
from rlhf_core.runs.reader import RunReader
from rlhf_core.terminal import print_runs
from tests.engine import reward_config
from tests.run_factory import write_run
from tests.unit.test_pipeline import Recorder, make_config

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "then", "it", "slept"]


def write_text(path: Path, documents: int = 12) -> Path:
    """Write documents of twenty words each."""
    lines = [" ".join(WORDS[(n * k + k) % len(WORDS)] for k in range(20)) for n in range(1, documents + 1)]
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return path


def config(root: Path, **fields: Any) -> PretrainConfig:
    text = root / "a.txt"
    small: dict[str, Any] = {
        "name": "scratch", "run_root": root / "runs", "text": (text if text.exists() else write_text(text),),
        "eval_fraction": 0.2, "tokenizer": {"vocab_size": 280}, "steps": 4, "batch_size": 2, "micro_batch_size": 2,
        "model": {"layers": 1, "width": 16, "heads": 2, "kv_heads": 1, "context": 32}, "dtype": "float32",
        "eval_every": 2, "checkpoint_every": 2, "optim": {"lr": 0.01},
    }  # fmt: skip
    return PretrainConfig.model_validate(small | fields)


def run(settings: PretrainConfig) -> list[tuple[Any, ...]]:
    listener = Recorder()
    run_pretrain(settings, listener)
    return listener.heard


def test_a_run_leaves_a_model_that_a_policy_and_a_reward_model_grow_from(tmp_path: Path) -> None:
    settings = config(tmp_path)
    heard = run(settings)
    assert heard[0] == ("started", "pretrain") and heard[-1] == ("finished", "pretrain")
    assert ("progress", "pretrain", 4, 4) in [h[:4] for h in heard]
    model = str(settings.run_path / "pretrain" / "model")
    policy = load_policy(
        model, PolicyConfig(model=model, dtype="float32", lora=LoraConfig(r=2, alpha=2)), trainable=True
    )
    ids = policy.encode_prompt("the cat sat", "", 30)
    assert policy.lm(torch.tensor([ids])).logits.shape == (1, len(ids), 280) and policy.context == 32
    assert policy.tokenizer.pad_token_id != policy.tokenizer.eos_token_id == policy.encode_response("x")[-1]
    scorer = new_reward_model(reward_config(model=model, max_length=32), torch.Generator().manual_seed(0))
    assert scorer.score(["the cat"], ["sat"]).shape == (1,)


def test_no_document_is_on_both_sides_and_every_token_is_on_one(tmp_path: Path) -> None:
    """12 documents, a fifth held out: 2. Decoded, the two files hold the 12 documents and nothing else."""
    settings = config(tmp_path)
    run(settings)
    folder = settings.run_path / "pretrain" / "data"
    tokenizer = pretraining.AutoTokenizer.from_pretrained(folder)
    sides = []
    for side in ("train", "held_out"):
        text = tokenizer.decode(np.fromfile(folder / f"{side}.ids", dtype=IDS))
        sides.append(text.split("<|im_end|>")[1:-1])
    assert [len(side) for side in sides] == [10, 2]
    assert sorted(sides[0] + sides[1]) == sorted((tmp_path / "a.txt").read_text().strip().split("\n\n"))
    about = json.loads((folder / "about.json").read_text())["held_out"]
    assert (about["documents"], about["bytes"]) == (2, sum(len(text) for text in sides[1]))


def test_a_finished_run_is_skipped_and_a_changed_one_is_set_aside(tmp_path: Path) -> None:
    settings = config(tmp_path)
    run(settings)
    assert run(settings) == run(config(tmp_path, threads=1)) == [("skipped", "pretrain")]
    (tmp_path / "a.txt").write_text((tmp_path / "a.txt").read_text() + "\n\nOne more document.\n")
    assert ("started", "pretrain") in run(settings)
    assert (settings.run_path / "pretrain.before-1" / "model").is_dir()


def test_a_kill_between_tokens_and_model_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt dies writing the held-out tokens, the second training; the third equals one that never died."""
    whole, cut = config(tmp_path, name="whole"), config(tmp_path, name="cut")
    run(whole)
    for place, calls in (("write_tokens", 2), ("train_language_model", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(pretraining, place, _dying(getattr(pretraining, place), calls))
            with pytest.raises(KeyboardInterrupt):
                run(cut)
    run(cut)
    for name in ("model/model.safetensors", "model/tokenizer.json", "data/train.ids", "data/held_out.ids"):
        first, second = ((settings.run_path / "pretrain" / name).read_bytes() for settings in (whole, cut))
        assert first == second, name
    assert not (cut.run_path / "pretrain" / ".data.tmp").exists()


def _dying(function: Any, call: int) -> Any:
    """The function, interrupted when it is called for the `call`th time."""
    left = iter(range(call - 1, -1, -1))

    def wrapped(*arguments: Any) -> Any:
        if next(left) == 0:
            raise KeyboardInterrupt
        return function(*arguments)

    return wrapped


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("", {}, "a.txt: holds no text"),
        ("Just one document.", {}, "a.txt: is a single document, and one has to be held out"),
        ("Two.\n\nDocuments.", {}, "tokens long; one window takes 33. Give more text, or lower model.context"),
        ("Why is it so?\n\nNobody knows.", {"held_out_prompts": "p.jsonl"}, "a.txt:1 = p: why is it so"),
    ],
)
def test_text_that_will_not_do_is_refused(tmp_path: Path, text: str, fields: dict[str, str], expected: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "p.jsonl").write_text('{"id": "p", "prompt": "Why is it so?", "split": "eval"}\n')
    with pytest.raises(DataError) as caught:
        run(config(tmp_path, **{name: tmp_path / value for name, value in fields.items()}))
    assert expected in str(caught.value)


def test_a_run_that_only_pretrains_is_read_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(tmp_path)
    run(settings)
    reader = RunReader(settings.run_path)
    status = reader.status()
    assert status.state == "complete" and [(s.name, s.state) for s in status.stages] == [("pretrain", "complete")]
    assert {"eval/perplexity", "eval/bits_per_byte"} <= set(reader.metrics("pretrain").columns)
    write_run(settings.run_root / "demo")
    print_runs(settings.run_root)
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows == {"scratch": ["complete", "complete", *"–––––"], "demo": ["complete", "–", *["complete"] * 5]}


def test_new_weights_in_a_models_folder_change_the_inputs_of_what_grows_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    seen = []
    for weights in (b"one", b"two"):
        (folder / "model.safetensors").write_bytes(weights)
        both = (make_config(tmp_path, f"{part}.model={folder}") for part in ("policy", "reward"))
        seen.append([[stage_inputs(c, name) for name in ("sft", "reward", "ppo")] for c in both])
    (policy, reward), (new_policy, new_reward) = seen
    assert all(a != b for a, b in zip(policy, new_policy, strict=True))
    assert reward[0] == new_reward[0] and reward[1] != new_reward[1] and reward[2] != new_reward[2]


def test_every_error_is_one_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RlhfError, match="no such file"):
        run(config(tmp_path, text=(tmp_path / "gone.txt",)))
    assert not (tmp_path / "runs").exists()
