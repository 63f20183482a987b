"""Two contenders answer in turn, by the project's own sampler; scored on the way. In this process, on the tiny model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.config import PipelineConfig
from rlhf_core.data.records import Prompt
from rlhf_core.errors import ModelError, RunError
from rlhf_core.models.rewards import load_reward_model
from rlhf_core.playground.answering import SCORE_EVERY, Playground, share_weights
from rlhf_core.playground.protocol import Done, End, Event, Loading, Missing, Request, Scores, Text
from rlhf_core.playground.worker import run_config
from rlhf_core.playground.writer import text_so_far
from rlhf_core.stages import answer, complete, contender_source, run_policy
from tests.engine import tiny_policy
from tests.play_factory import write_playable_run

TOKENS = 20


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PipelineConfig:
    run = write_playable_run(
        tmp_path_factory.mktemp("runs"), f"generate.max_new_tokens={TOKENS}", "generate.best_of.n=4"
    )
    return run_config(run)


def asked(*contenders: str, **changes: Any) -> Request:
    names = contenders or ("base", "tuned")
    fields = {"id": "1", "prompt": "Why?", "temperature": 0.7, "seed": 3, "max_new_tokens": TOKENS, "contenders": names}
    return Request.model_validate(fields | changes)


def events(config: PipelineConfig, *requests: Request) -> list[Event]:
    told: list[Event] = []
    playground = Playground(config, told.append)
    for request in requests:
        playground.answer(request)
    return told


def texts(told: list[Event]) -> list[str]:
    return [one.text for one in told if isinstance(one, Done)]


def test_the_sides_write_in_turn_and_their_text_only_grows(config: PipelineConfig):
    told = events(config, asked())
    written = [one for one in told if isinstance(one, Text)]
    assert [(one.side, one.tokens) for one in written] == [(side, n) for n in range(1, TOKENS + 1) for side in (0, 1)]
    for side in (0, 1):
        steps = [one.text for one in written if one.side == side]
        whole = next(one for one in told if isinstance(one, Done) and one.side == side)
        assert all(later.startswith(earlier) for earlier, later in zip(steps, [*steps[1:], whole.text], strict=True))
        assert whole.tokens == TOKENS and not whole.finished
        assert 0 < whole.first_seconds < whole.seconds
    assert told[-1] == End(id="1") and all(getattr(one, "id", "1") == "1" for one in told)
    loaded = [one.what for one in told if isinstance(one, Loading)]
    assert loaded == ["the model of base", "the model of tuned", "the reward model", "profanity-check"]


def test_the_answers_are_those_of_rlhf_generate_with_the_same_seed(config: PipelineConfig):
    """One distribution and one stream of random numbers everywhere; best-of-n picks the same answer too."""
    elsewhere = dict(answer(config, "Why?", seed=3))
    told = events(config, asked("base", "tuned"), asked("sft", "best-of-4"))
    assert texts(told) == [elsewhere[name] for name in ("base", "tuned", "sft", "best-of-4")]
    assert len(set(elsewhere.values())) == 4
    assert texts(events(config, asked(seed=4))) != texts(told)[:2]


def test_the_same_request_gives_the_same_text_whatever_was_asked_before(config: PipelineConfig):
    told = events(config, asked(), asked(seed=8), asked("tuned", "base"), asked())
    first, second = texts(told)[:2], texts(told)[-2:]
    assert first == second and texts(told)[4:6] == first[::-1]


def test_a_temperature_of_0_takes_the_likeliest_token_whatever_the_seed(config: PipelineConfig):
    told = events(config, asked(temperature=0), asked(temperature=0, seed=9), asked(temperature=1e-6, seed=5))
    assert texts(told)[:2] == texts(told)[2:4] == texts(told)[4:]  # 0 is the limit of low ones


def test_a_nucleus_changes_what_is_drawn(config: PipelineConfig):
    assert texts(events(config, asked(top_p=0.05))) != texts(events(config, asked()))


def test_scores_come_every_few_tokens_and_of_the_whole_answer(config: PipelineConfig):
    told = events(config, asked())
    scored = [(one.side, one.tokens) for one in told if isinstance(one, Scores)]
    assert scored == [(0, SCORE_EVERY), (1, SCORE_EVERY), (0, 2 * SCORE_EVERY), (1, 2 * SCORE_EVERY), (0, 20), (1, 20)]
    last = [one for one in told if isinstance(one, Scores)][-1]
    model: Any = load_reward_model(config.run_path / "reward" / "model")
    values = {score.scorer: score.value for score in last.scores}
    assert values["reward model"] == pytest.approx(model.score(["Why?"], [texts(told)[1]]).item(), abs=1e-5)
    assert 0 <= values["profanity-check"] <= 1 and len(values) == 2


def test_every_head_of_a_reward_model_by_category_speaks(tmp_path: Path):
    overrides = ("reward.by_category=true", "ppo.rewards=[{kind: learned, category: harmless}]")
    config = run_config(write_playable_run(tmp_path, *overrides))
    told = events(config, asked(max_new_tokens=4))
    last = [one for one in told if isinstance(one, Scores)][-1]
    model: Any = load_reward_model(config.run_path / "reward" / "model")
    for score, head in zip(last.scores, ("helpful", "harmless"), strict=False):
        assert (score.scorer, score.measure) == ("reward model", head)
        assert score.value == pytest.approx(model.score(["Why?"], [texts(told)[1]], [head]).item(), abs=1e-5)


def test_without_a_reward_model_the_answers_come_all_the_same(tmp_path: Path):
    run = write_playable_run(tmp_path)
    (run / "reward").rename(run / "elsewhere")
    told = events(run_config(run), asked(max_new_tokens=3), asked(max_new_tokens=3))
    missing = [one for one in told if isinstance(one, Missing)]
    assert [(one.scorer, "Run `rlhf reward CONFIG`" in one.why) for one in missing] == [("reward model", True)]
    assert len(texts(told)) == 4


def test_a_stop_ends_it_after_the_token_under_way(config: PipelineConfig):
    told: list[Event] = []
    Playground(config, told.append).answer(asked(), lambda: sum(isinstance(one, Text) for one in told) >= 6)
    assert sum(isinstance(one, Text) for one in told) == 6 and told[-1] == End(id="1", stopped=True)
    assert not texts(told)


def test_who_is_not_there_is_refused_before_anything_is_loaded(tmp_path: Path):
    run = write_playable_run(tmp_path)
    (run / "ppo").rename(run / "elsewhere")
    told: list[Event] = []
    playground = Playground(run_config(run), told.append)
    with pytest.raises(RunError, match=re.escape(f"{run}: tuned is not there yet. Run `rlhf ppo CONFIG`")):
        playground.answer(asked())
    with pytest.raises(RunError, match=r"no such contender .found 'tunid'.\. There are: base, sft, tuned"):
        playground.answer(asked("base", "tunid"))
    assert told == []


def test_what_does_not_fit_the_context_is_refused(config: PipelineConfig):
    """A byte is a token: the run's system prompt of 37 takes 10 more, the message 8, the head of the answer is 11."""
    playground = Playground(config, lambda event: None)
    with pytest.raises(ModelError) as caught:
        playground.answer(asked(prompt="x" * 948, max_new_tokens=11))
    assert str(caught.value) == (
        "base: 1014 tokens of conversation and 11 new ones do not fit the model's context of 1024 tokens. "
        "Ask for fewer new tokens, shorten the message, or start anew"
    )
    playground.answer(
        asked(prompt="x" * 948, max_new_tokens=10)
    )  # policy.max_prompt_tokens, 256, is of what it learnt from


HISTORY = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]


def test_a_conversation_is_answered_and_scored_as_a_whole(config: PipelineConfig):
    """What `complete` makes of the same turns: the run's own way to answer a prompt with a history."""
    told = events(config, asked(), asked(history=HISTORY))
    row = Prompt.model_validate({"id": "p", "prompt": "Why?", "history": HISTORY})
    policy = run_policy(config, contender_source(config, "tuned"), trainable=False)
    elsewhere = complete(policy, config, [row], "tuned", torch.Generator().manual_seed(3))
    assert texts(told)[3] == elsewhere[0].text != texts(told)[1]
    last = [one for one in told if isinstance(one, Scores)][-1]
    model: Any = load_reward_model(config.run_path / "reward" / "model")
    score = model.score([row.transcript], [texts(told)[3]]).item()
    assert last.scores[0].value == pytest.approx(score, abs=1e-5)
    assert score != pytest.approx(model.score(["Why?"], [texts(told)[3]]).item(), abs=1e-5)


def test_a_system_prompt_stands_in_for_the_runs_own(config: PipelineConfig):
    own = config.model_copy(update={"policy": config.policy.model_copy(update={"system_prompt": "Be kind."})})
    plain, kind, rude = (
        texts(events(a, asked(system_prompt=b))) for a, b in ((config, ""), (config, "Be kind."), (own, "Be rude."))
    )
    assert texts(events(own, asked())) == kind != plain
    assert texts(events(config, asked(system_prompt="Be rude."))) == rude != kind


def test_a_model_whose_template_takes_no_system_prompt_refuses_one(config: PipelineConfig):
    playground = Playground(config, lambda event: None)
    playground.answer(asked(max_new_tokens=1))
    playground._policy("tuned").tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(ModelError) as caught:
        playground.answer(asked(system_prompt="Be kind.", max_new_tokens=1))
    assert str(caught.value) == (
        "tuned: the chat template of this model takes no system prompt (found 'Be kind.'). "
        "Clear the system prompt, or say it in the message"
    )
    playground.answer(asked(max_new_tokens=1))


def test_half_a_character_is_never_shown():
    """Byte tokens: é is two, the face four; what is no character at all shows once something follows it."""
    policy = tiny_policy(trainable=False)
    ids = policy.tokenizer("aé😀b", add_special_tokens=False)["input_ids"]
    assert [text_so_far(policy, ids[:n]) for n in range(1, 9)] == ["a", "a", "aé", "aé", "aé", "aé", "aé😀", "aé😀b"]
    assert text_so_far(policy, [*ids[:2], ids[0]]) == "a\ufffda"


def test_contenders_share_the_weights_they_have_in_common(config: PipelineConfig):
    """Adapters sit on attention in these runs: all other layers lie in memory once, and nothing is written anew."""
    playground = Playground(config, lambda event: None)
    playground.answer(asked(max_new_tokens=1))
    base, tuned = (dict(policy.lm.named_parameters()) for policy in playground.policies.values())
    shared = {name for name in base if base[name].data_ptr() == tuned[name].data_ptr()}
    assert {name for name in base if name not in shared} == {
        name for name in base if re.search(r"self_attn\.[qkvo]_proj", name)
    }
    assert all(not torch.equal(base[name], tuned[name]) for name in base if name not in shared)


def test_weights_of_another_kind_are_not_shared():
    narrow, wide = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).bfloat16()
    torch.nn.init.zeros_(narrow.weight)
    torch.nn.init.zeros_(wide.weight)
    share_weights(narrow, wide)
    assert narrow.weight.dtype == torch.float32
