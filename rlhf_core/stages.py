"""What each stage of the pipeline does: load what it needs, run one loop, leave its result in the run directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from rlhf_core.config import PipelineConfig, SFTConfig
from rlhf_core.data.collate import Example
from rlhf_core.data.contenders import MADE_IN, parse_best_of
from rlhf_core.data.datasets import Datasets, content_hash
from rlhf_core.data.io import read_jsonl, write_json, write_jsonl, write_text
from rlhf_core.data.records import Asked, ContenderCompletion, Demonstration, Prompt
from rlhf_core.data.splits import split_by_prompt
from rlhf_core.errors import DataError, ModelError, RunError
from rlhf_core.evaluation.ensemble_eval import ensemble_report
from rlhf_core.evaluation.reward_eval import reward_report
from rlhf_core.evaluation.run import evaluate_run
from rlhf_core.models.chat import reply_mask
from rlhf_core.models.device import choose_device
from rlhf_core.models.policy import Policy, load_policy
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, load_reward_model
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.runs.added import is_added
from rlhf_core.runs.directory import REFUSALS
from rlhf_core.training.best_of import Draw, sample_best_of
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import train_ppo
from rlhf_core.training.reward import held_out_scores, train_members
from rlhf_core.training.rewards import build_audits, build_rewards
from rlhf_core.training.rollout import Episode, sample
from rlhf_core.training.sft import check_lengths, train_sft
from rlhf_core.training.stage import Stage


def run_sft(config: PipelineConfig, data: Datasets, stage: Stage) -> None:
    """Fine-tune the base model on demonstrations; leaves `sft/model`. Prompts too long for later stages are refused here.

    With `sft: null` that check is all there is to do: `start_source` is the base model.
    """
    policy = run_policy(config, config.policy.model, trainable=config.sft is not None)
    _episodes(policy, config, [*data.train_prompts, *data.eval_prompts, *data.refusal_prompts])
    if config.sft is None:
        return stage.report(1, 1, "not asked for: sft is null, so PPO starts from policy.model")
    if policy.encodes:
        _refuse_for_encoders(config.sft)
    rows = data.demonstrations
    examples = [_example(policy, config, row, config.sft) for row in rows]
    check_lengths(examples, [r.id for r in rows], min(config.sft.max_length, policy.context))
    train, held_out = split_by_prompt(examples, [r.opening for r in rows], config.sft.eval_fraction, config.seed)
    policy.gradient_checkpointing = config.sft.gradient_checkpointing
    train_sft(policy, train, held_out, config.sft, stage)
    return policy.save(stage.directory.model)


def run_reward(config: PipelineConfig, data: Datasets, stage: Stage) -> None:
    """Train the reward model on rankings and normalise it on the fine-tuned policy's samples; leaves `reward/model`."""
    prompts = [r.opening for r in data.rankings]
    train, held_out = split_by_prompt(data.rankings, prompts, config.reward.eval_fraction, config.seed)
    members = train_members(config.reward, train, held_out, stage, choose_device(config.device))
    raw = [held_out_scores(member, held_out) for member in members]
    sources = _spread(data.train_prompts, config.reward.normalise_on)
    samples = _reference_samples(config, sources, stage)
    for member in members:
        member.normalise_on([p.transcript for p in sources], samples)
    constants = [member.normalisation | {"n": len(sources)} for member in members]
    alone = len(members) == 1
    report = reward_report(held_out, raw[0]) if alone else ensemble_report(held_out, raw, constants)
    report |= {"normalisation": constants[0] if alone else constants, "model": members[0].source}
    write_json(stage.path.parent / "evaluation" / "reward_model.json", report)
    (members[0] if alone else RewardEnsemble(members)).save(stage.directory.model)


def run_ppo(config: PipelineConfig, data: Datasets, stage: Stage) -> None:
    """Tune the policy that `start_source` names against the configured rewards; leaves `ppo/model`."""
    run = stage.path.parent
    torch.manual_seed(config.seed)
    policy = run_policy(_adapting(config, config.ppo.lora_layers), start_source(config), trainable=True)
    policy.gradient_checkpointing = config.ppo.gradient_checkpointing
    sources = (run / "reward" / "model", config.evaluate.detoxify_checkpoint, policy.device)
    scorer = build_rewards(config.ppo.rewards, *sources)
    train = _episodes(policy, config, data.train_prompts)
    judged = _spread(data.eval_prompts, config.ppo.eval_prompts)
    audits = build_audits(config.ppo.audits, *sources)
    held_out = HeldOut(_episodes(policy, config, judged), scorer, config.ppo, stage, audits)
    train_ppo(policy, scorer, train, held_out, config.ppo, stage)
    policy.save(stage.directory.model)


def run_generate(config: PipelineConfig, data: Datasets, stage: Stage) -> None:
    """Let every contender answer every held-out prompt, and every prompt of the test of refusals where there is one.

    Leaves `completions/<contender>.jsonl` and `completions/refusals/<contender>.jsonl`. A stopped contender goes on after
    its last whole batch, kept in `<contender>.part`.
    """
    run, tested = stage.path.parent, config.data.refusal_prompts
    inputs, _, _ = stage.inputs.partition("+")  # without what was added, on which other answers do not depend
    of_test = f"{inputs}+{content_hash(tested) if tested else ''}"
    questions = (
        (run / "completions", inputs, data.eval_prompts, "answers"),
        (run / REFUSALS, of_test, data.refusal_prompts, "answers to refusal prompts"),
    )
    names, before = config.generate.names, 0
    total = len(names) * (len(data.eval_prompts) + len(data.refusal_prompts))
    for folder, made_from, prompts, what in questions:
        _drop_other_answers(folder, made_from)
        for contender in names if prompts else ():
            for done in answer_all(config, contender, prompts, folder, replace(stage, inputs=made_from)):
                stage.report(before + done, total, f"{contender}: {done} of {len(prompts)} {what}")
            before += len(prompts)


def run_evaluate(config: PipelineConfig, data: Datasets, stage: Stage) -> None:
    """Score every contender's completions: reward model, toxicity, text measures; leaves `evaluation/*.json`."""
    model = own_reward_model(config)
    evaluate_run(
        stage.path.parent, config.evaluate, model.score, stage.report, optimised=config.optimises_own_reward_model
    )


def contender_source(config: PipelineConfig, contender: str) -> str:
    """Return the model source behind a contender's name; behind best-of-n that of the model it picks from."""
    contender = best.base if (best := parse_best_of(contender)) else contender
    if contender in MADE_IN:
        return str(config.run_path / MADE_IN[contender] / "model")
    return config.generate.models.get(contender, config.policy.model)


def start_source(config: PipelineConfig) -> str:
    """Return the model source PPO starts from: the fine-tuned model, or `policy.model` where none was fine-tuned."""
    return contender_source(config, "sft") if config.sft else config.policy.model


def complete(
    policy: Policy,
    config: PipelineConfig,
    prompts: Sequence[Prompt],
    contender: str,
    generator: torch.Generator,
    draw: Draw = sample,
) -> list[ContenderCompletion]:
    """Let `draw` make one answer per prompt, at the configured reading temperature."""
    settings = SamplingConfig(config.generate.max_new_tokens, config.generate.temperature, config.generate.top_p)
    sampled = draw(policy, _episodes(policy, config, prompts), settings, generator)
    eos = policy.tokenizer.eos_token_id
    return [
        ContenderCompletion(
            prompt_id=p.id,
            prompt=p.transcript,
            history=p.history,
            category=p.category,
            contender=contender,
            text=text,
            tokens=len(ids),
            finished=ids[-1] == eos,
        )
        for p, ids, text in zip(prompts, sampled.responses, sampled.texts, strict=True)
    ]


def answer(config: PipelineConfig, prompt: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield (contender, answer) of every contender that is there, to one prompt, with the same random numbers.

    Raises:
        DataError: the prompt is empty.
        RunError: best-of-n without the run's reward model.
    """
    if not prompt.strip():
        raise DataError("the prompt is empty", where="--prompt", remedy="Give it some text")
    row = Prompt(id="prompt", prompt=prompt)
    for contender in config.generate.names:
        if (source := contender_source(config, contender)) not in _to_be_made(config) or Path(source).is_dir():
            policy = run_policy(config, source, trainable=False)
            generator = torch.Generator().manual_seed(seed)
            yield contender, complete(policy, config, [row], contender, generator, _draw(config, contender))[0].text


def _to_be_made(config: PipelineConfig) -> list[str]:
    """The model sources that the run's own stages leave."""
    return [contender_source(config, name) for name in MADE_IN]


def _drop_other_answers(folder: Path, inputs: str) -> None:
    """Remove answers made from other inputs, which `generate` can repeat; contenders added to the run depend on none."""
    for earlier in [*folder.glob("*.jsonl"), *folder.glob("*.part")]:
        if _text(earlier.with_suffix(".inputs")) != inputs and not is_added(earlier):
            earlier.unlink()


def answer_all(
    config: PipelineConfig, contender: str, prompts: Sequence[Prompt], folder: Path, stage: Stage
) -> Iterator[int]:
    """Let one contender answer all of `prompts`, from where it was stopped on; yield how many answers there are so far."""
    done, part = folder / f"{contender}.jsonl", folder / f"{contender}.part"
    if done.is_file():
        return
    write_text(folder / f"{contender}.inputs", stage.inputs)
    rows = read_jsonl(part, ContenderCompletion) if part.is_file() else []
    for batch in _answers(config, contender, prompts, len(rows), stage):
        rows += batch
        write_jsonl(part, rows)
        yield len(rows)
    part.replace(done)


def _answers(
    config: PipelineConfig, contender: str, prompts: Sequence[Prompt], answered: int, stage: Stage
) -> Iterator[list[ContenderCompletion]]:
    """Yield one contender's answers batch by batch, from prompt `answered` on."""
    draw, best = _draw(config, contender), parse_best_of(contender)
    policy = run_policy(config, contender_source(config, contender), trainable=False)
    size = max(1, config.generate.batch_size // (best.n if best else 1))
    for start in range(answered, len(prompts), size):
        generator = stage.generator("best-of" if best else "prompts", start)
        yield complete(policy, config, prompts[start : start + size], contender, generator, draw)


def _draw(config: PipelineConfig, contender: str) -> Draw:
    """Return what makes a contender's answers from its policy: one sample, or the best of n by the run's reward model."""
    if (best := parse_best_of(contender)) is None:
        return sample
    folder = config.run_path / "reward" / "model"
    if not folder.is_dir():
        raise RunError(f"{contender} needs the run's reward model", where=folder, remedy="Run `rlhf reward CONFIG`")
    return partial(sample_best_of, n=best.n, scorer=own_reward_model(config).score)


def own_reward_model(config: PipelineConfig) -> RewardModel | RewardEnsemble:
    """The run's reward model; what is of no category is scored by the head that PPO is rewarded by."""
    model = load_reward_model(config.run_path / "reward" / "model").to(choose_device(config.device))
    return model.of_category(config.own_category)


def run_policy(config: PipelineConfig, source: str | Path, *, trainable: bool) -> Policy:
    """Load a model as a run computes with it: with the run's threads, on its device, its prompts and answers in the context."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)  # adapters draw their first weights from the global stream
    policy = load_policy(source, config.policy, trainable=trainable, device=choose_device(config.device))
    _refuse_past_context(config, policy.context)
    return policy


def _adapting(config: PipelineConfig, layers: int | None) -> PipelineConfig:
    """The configuration with adapters, where it has any, in no more than the last `layers` layers."""
    lora = config.policy.lora and config.policy.lora.at_most(layers)
    return config.model_copy(update={"policy": config.policy.model_copy(update={"lora": lora})})


def _refuse_for_encoders(sft: SFTConfig) -> None:
    if sft.packing or sft.learn_from != "last":
        raise ModelError(
            "an encoder reads one prompt a row, and its decoder learns one reply",
            where="sft",
            remedy="Set sft.packing=false and sft.learn_from=last",
        )


def _refuse_past_context(config: PipelineConfig, context: int) -> None:
    prompt, response = config.policy.max_prompt_tokens, max(config.ppo.response_length, config.generate.max_new_tokens)
    if prompt + response > context:
        raise ModelError(
            f"prompts of {prompt} and responses of {response} tokens do not fit the model's context of {context} tokens",
            where=config.policy.model,
            remedy="Lower policy.max_prompt_tokens, ppo.response_length or generate.max_new_tokens",
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def encode_asked(policy: Policy, config: PipelineConfig, row: Asked) -> list[int]:
    """Return the token ids of what is asked, in the chat format and within the limits that the run sets."""
    settings = config.policy
    return policy.encode_prompt(
        row.conversation, settings.system_prompt, settings.max_prompt_tokens, settings.long_prompts
    )


def _example(policy: Policy, config: PipelineConfig, row: Demonstration, sft: SFTConfig) -> Example:
    settings, earlier = config.policy, None
    if sft.learn_from == "all":
        messages = policy.fit_prompt(
            row.conversation, settings.system_prompt, settings.max_prompt_tokens, settings.long_prompts
        )
        earlier = reply_mask(policy.tokenizer, messages)
    return Example(encode_asked(policy, config, row), policy.encode_response(row.response), earlier)


def _episodes(policy: Policy, config: PipelineConfig, prompts: Sequence[Prompt]) -> list[Episode]:
    return [Episode(p.id, p.transcript, encode_asked(policy, config, p)) for p in prompts]


def _spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    count = min(count, len(prompts))
    return [prompts[n * len(prompts) // count] for n in range(count)]


def _reference_samples(config: PipelineConfig, prompts: Sequence[Prompt], stage: Stage) -> list[str]:
    policy = run_policy(config, start_source(config), trainable=False)
    settings = SamplingConfig(config.ppo.response_length, config.ppo.temperature)
    texts: list[str] = []
    for start in range(0, len(prompts), config.generate.batch_size):
        part = prompts[start : start + config.generate.batch_size]
        texts += sample(policy, _episodes(policy, config, part), settings, stage.generator("normalise", start)).texts
    return texts
