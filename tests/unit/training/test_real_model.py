"""The packaged 135M model and the packaged encoder: the same promises on real weights. Needs `rlhf models fetch`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rlhf_core.config import LoraConfig, OptimConfig, PolicyConfig, RewardConfig
from rlhf_core.models.decoder import decoder_for
from rlhf_core.models.forward import run_responses
from rlhf_core.models.packaged import packaged_folder
from rlhf_core.models.policy import Policy, load_policy
from rlhf_core.models.rewards import new_reward_model
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.text_masks import pad_rows
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import FIRST_RATIO, train_ppo
from rlhf_core.training.rollout import Episode
from tests.engine import logged, make_stage, move, ppo_config, vowels

pytestmark = [pytest.mark.real_model, pytest.mark.usefixtures("fetched_models")]
SMOLLM = "smollm2-135m-instruct"
QUESTIONS = ["What is the capital of France?", "Name two fruits.", "Is ice cold?", "Say hello."]


@pytest.fixture
def policy() -> Policy:
    """The packaged policy in float32, with a small adapter in the upper half of its layers."""
    config = PolicyConfig(model=f"packaged:{SMOLLM}", dtype="float32", lora=LoraConfig(r=4, alpha=8, layers=15))
    torch.manual_seed(0)
    return load_policy(config.model, config, trainable=True)


def test_log_probabilities_equal_those_of_plain_transformers(policy: Policy):
    """Claims 1 and 2: padded beside a longer row, against the model loaded and called by transformers alone."""
    assert policy.tokenizer.pad_token_id != policy.tokenizer.eos_token_id
    prompt = policy.encode_prompt(QUESTIONS[0], "", 64)
    response = policy.encode_response("The capital of France is Paris.")
    ids, mask = pad_rows([prompt + response, [5] * 60], policy.tokenizer.pad_token_id, left=True)
    with torch.no_grad():
        counts = torch.arange(ids.shape[1]) >= torch.tensor([[ids.shape[1] - len(response)], [ids.shape[1]]])
        mine = token_logprobs(run_responses(policy.lm, ids, mask, counts)[0], torch.tensor(response), 1.0)
        plain = AutoModelForCausalLM.from_pretrained(packaged_folder(SMOLLM), dtype=torch.float32).eval()
        logits = plain(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    expected = logits.gather(1, torch.tensor(response).unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(mine, expected, atol=1e-3, rtol=0)
    assert mine.mean() > -1.0  # a sentence this model finds likely, so these are its real weights


def test_the_chat_format_is_the_models_own(policy: Policy):
    """Prompt and answer together read as the template writes a whole conversation."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTIONS[1]}]
    ids = policy.encode_prompt(QUESTIONS[1], "Be brief.", 64) + policy.encode_response("Apples and pears.")
    whole = policy.tokenizer.apply_chat_template(
        [*messages, {"role": "assistant", "content": "Apples and pears."}], tokenize=False
    )
    assert policy.tokenizer.decode(ids) == whole.rstrip("\n")


def test_a_short_ppo_iteration(policy: Policy, tmp_path: Path):
    """Claims 3 and 16: ratio 1 in the first minibatch and a KL of exactly 0 at the start."""
    assert policy.trunk is not None
    config = ppo_config(iterations=1, response_length=12, optim=OptimConfig(lr=1e-4))
    rows = [Episode(str(n), q, policy.encode_prompt(q, "", 64)) for n, q in enumerate(QUESTIONS)]
    stage = make_stage(tmp_path)
    train_ppo(policy, vowels, rows, HeldOut(rows[:2], vowels, config, stage), config, stage)
    (row,) = (row for row in logged(stage) if "objective/kl" in row)
    assert row["objective/kl"] == 0.0 and row[FIRST_RATIO] < 1e-4
    assert 0 < row["policy/entropy"] < 11 and row["optim/grad_norm"] > 0  # ln 49152 = 10.8
    assert all(sample["text"] for sample in logged(stage, "samples.jsonl"))


def test_the_decoder_samples_from_what_the_policy_is_said_to_do(policy: Policy):
    """Claims 2 and 3: token by token, the decoder's distribution is that of the pass which judges; on moved adapters."""
    move(policy, size=0.05)
    prompts = [policy.encode_prompt(q, "", 64) for q in QUESTIONS[:3]]
    ids, mask = pad_rows(prompts, policy.tokenizer.pad_token_id, left=True)
    tokens = torch.randint(10, 40_000, (3, 8), generator=torch.Generator().manual_seed(0))
    counts = torch.arange(ids.shape[1] + 8) >= ids.shape[1]
    whole, mine = torch.cat([ids, tokens], 1), []
    with torch.no_grad():
        decoder = decoder_for(policy.lm)
        logits = decoder.prompt(ids, mask, 8)
        for n in range(8):
            mine.append(token_logprobs(logits, tokens[:, n], 1.0))
            logits = decoder.step(tokens[:, n])
        judged, _ = policy.run(whole, torch.cat([mask, tokens > 0], 1), counts.expand(3, -1))
    expected = token_logprobs(judged, tokens.flatten(), 1.0).view(3, 8)
    torch.testing.assert_close(torch.stack(mine, 1), expected, atol=1e-3, rtol=0)


def test_the_packaged_encoder_scores_alone_as_in_company():
    """Claim 12."""
    config = RewardConfig(model="packaged:minilm-l6")
    model = new_reward_model(config, torch.Generator().manual_seed(0))
    answers = ["Yes.", "Paris is the capital of France, on the river Seine.", "No", "Hello to you"]
    together = model.score(QUESTIONS, answers)
    alone = torch.cat([model.score([q], [a]) for q, a in zip(QUESTIONS, answers, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    assert together.std() > 0
