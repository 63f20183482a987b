"""The metric registry: every name a run may log, with unit, definition and valid range. docs/metrics.md is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf


@dataclass(frozen=True)
class Metric:
    """One metric. `low`…`high` is what is possible; `healthy` is the range a good run usually stays in.

    A `*` in the name stands for what a configuration calls its parts: a family of metrics with one definition.
    """

    name: str
    unit: str
    definition: str
    low: float = -inf
    high: float = inf
    healthy: tuple[float, float] | None = None


_ALL = (
    Metric(
        "train/loss",
        "nats per token, or per pair",
        "training loss of the step (pretraining: cross-entropy over all tokens; SFT: over response tokens; reward: pairwise)",
        0.0,
    ),
    Metric(
        "train/accuracy", "share", "pairs of the training batch in which the chosen response scores higher", 0.0, 1.0
    ),
    Metric("eval/loss", "nats per token, or per pair", "the same loss on held-out data", 0.0),
    Metric("eval/perplexity", "1", "exp of the held-out loss per token (SFT: per response token)", 1.0),
    Metric(
        "eval/bits_per_byte",
        "bits per byte",
        "what a byte of the held-out text costs; unlike the loss it compares models with different tokenizers",
        0.0,
    ),
    Metric(
        "eval/accuracy", "share", "held-out pairs in which the chosen response scores higher", 0.0, 1.0, (0.65, 1.0)
    ),
    Metric("eval/margin", "score", "mean score difference chosen − rejected on held-out pairs"),
    Metric(
        "eval/calibration_error",
        "share",
        "expected calibration error of sigmoid(margin) over ten equal-width bins",
        0.0,
        1.0,
        (0.0, 0.1),
    ),
    Metric(
        "eval/kendall_tau", "1", "mean Kendall τ-b between the score order and the human ranking, per prompt", -1.0, 1.0
    ),
    Metric(
        "eval/score",
        "reference SD",
        "mean reward-model score of sampled completions to held-out prompts, with common random numbers",
    ),
    Metric(
        "eval/win_rate",
        "share",
        "held-out prompts on which the policy scores above the reference (ties count ½)",
        0.0,
        1.0,
    ),
    Metric("eval/win_rate_low", "share", "lower end of its 95% interval", 0.0, 1.0),
    Metric("eval/win_rate_high", "share", "upper end of its 95% interval", 0.0, 1.0),
    Metric(
        "eval/kl",
        "nats per response",
        "objective/kl of the completions to held-out prompts",
        healthy=(0.0, 10.0),
    ),
    Metric(
        "eval/audit_*",
        "the scorer's own",
        "mean over held-out completions by a source of ppo.audits, which is not optimised",
    ),
    Metric("eval/response_length", "tokens", "mean length of held-out completions, eos included", 0.0),
    Metric(
        "eval/distinct_2",
        "share",
        "different bigrams among all bigrams of the held-out completions; falls with the amount of text too",
        0.0,
        1.0,
        (0.3, 1.0),
    ),
    Metric(
        "eval/perplexity_ref",
        "1",
        "exp of the mean −log π_ref per token of the held-out completions: how strange the reference finds them",
        1.0,
    ),
    Metric(
        "objective/kl",
        "nats per response",
        "mean over responses of Σ_t log π(a_t) − log π_ref(a_t)",
        healthy=(0.0, 10.0),
    ),
    Metric("objective/kl_coef", "score per nat", "β, the price of one nat of KL", 0.0),
    Metric(
        "objective/entropy",
        "nats per response",
        "mean over responses of −Σ_t log π(a_t), a sample estimate of the sequence entropy",
        0.0,
    ),
    Metric(
        "objective/scores",
        "reference SD",
        "mean score, Σ weight·source of ppo.rewards, after the missing-eos penalty",
    ),
    Metric(
        "objective/score_*",
        "score",
        "mean of one source of ppo.rewards before its weight and the missing-eos penalty; with two sources or more",
    ),
    Metric(
        "objective/score_disagreement",
        "reference SD",
        "mean standard deviation between the scores of an ensemble's members for one response",
        0.0,
    ),
    Metric("objective/non_score_reward", "score", "mean over responses of −β·Σ_t KL_t"),
    Metric("objective/rlhf_reward", "score", "objective/scores + objective/non_score_reward"),
    Metric(
        "policy/approxkl",
        "nats per token",
        "masked mean of ½·(log π_new − log π_old)², over the update",
        0.0,
        healthy=(0.0, 0.05),
    ),
    Metric("policy/clipfrac", "share", "response tokens whose ratio left [1 − ε, 1 + ε]", 0.0, 1.0, (0.0, 0.3)),
    Metric(
        "policy/entropy",
        "nats per token",
        "masked mean entropy of the next-token distribution",
        0.0,
        healthy=(0.3, 6.0),
    ),
    Metric("policy/ratio", "1", "masked mean of π_new / π_old", 0.0, healthy=(0.9, 1.1)),
    Metric(
        "policy/first_ratio_error",
        "nats",
        "largest |log ratio| in the first minibatch of the first epoch; 0 but for rounding",
        0.0,
        healthy=(0.0, 1e-3),
    ),
    Metric("loss/policy", "1", "clipped surrogate loss, averaged over the update"),
    Metric("loss/value", "score²", "clipped value loss, averaged over the update", 0.0),
    Metric("loss/total", "1", "loss/policy + value_coef · loss/value"),
    Metric("returns/mean", "score", "masked mean of the returns"),
    Metric("returns/var", "score²", "masked variance of the returns", 0.0),
    Metric("val/error", "score²", "masked mean squared error of the value function before the update", 0.0),
    Metric("val/clipfrac", "share", "response tokens whose value update was clipped", 0.0, 1.0),
    Metric(
        "val/explained_variance",
        "1",
        "1 − Var(returns − values)/Var(returns); missing when the variance is 0",
        high=1.0,
    ),
    Metric(
        "tokens/batch",
        "tokens",
        "tokens of the texts in the step's batch, prompt and response; a ranked prompt counts with each completion",
        0.0,
    ),
    Metric("tokens/response_length", "tokens", "mean response length, eos included", 0.0),
    Metric("tokens/eos_frac", "share", "responses that ended with eos inside the limit", 0.0, 1.0, (0.8, 1.0)),
    Metric(
        "tokens/distinct_2",
        "share",
        "different bigrams among all bigrams of the batch's responses; falls with the amount of text too",
        0.0,
        1.0,
        (0.3, 1.0),
    ),
    Metric("alarm/entropy", "0 or 1", "policy/entropy is below guards.entropy_floor of the first batch's", 0.0, 1.0),
    Metric(
        "alarm/length",
        "0 or 1",
        "tokens/response_length left guards.length_floor … length_ceiling of the first",
        0.0,
        1.0,
    ),
    Metric(
        "alarm/diversity", "0 or 1", "tokens/distinct_2 is below guards.diversity_floor of the first batch's", 0.0, 1.0
    ),
    Metric("alarm/kl", "0 or 1", "objective/kl grew by more than guards.kl_jump in one iteration", 0.0, 1.0),
    Metric("optim/lr", "1", "learning rate of the step", 0.0),
    Metric("optim/grad_norm", "1", "global gradient norm before clipping", 0.0),
    Metric("time/rollout", "s", "sampling", 0.0),
    Metric("time/score", "s", "reward model, reference and values", 0.0),
    Metric("time/update", "s", "gradient steps", 0.0),
    Metric("progress/step", "steps", "optimisation steps (PPO: iterations) done", 0.0),
    Metric("progress/episodes", "episodes", "prompts answered, or examples seen, so far", 0.0),
)

REGISTRY = {metric.name: metric for metric in _ALL}


def find_metric(name: str) -> Metric:
    """Return the metric of a logged name, or the family it belongs to.

    Raises:
        KeyError: nothing of that name is registered.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    return REGISTRY[next((family for family in REGISTRY if fnmatchcase(name, family)), name)]


def markdown_table() -> str:
    """Return the registry as the Markdown page docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Made from `rlhf_core/runs/metrics.py` by `python -m rlhf_core.runs.metrics`; do not edit.",
        "",
        "| name | unit | definition | possible | healthy |",
        "| --- | --- | --- | --- | --- |",
    ]
    for m in _ALL:
        healthy = f"{m.healthy[0]:g} … {m.healthy[1]:g}" if m.healthy else ""
        definition = m.definition.replace("|", "\\|")
        lines.append(f"| `{m.name}` | {m.unit} | {definition} | {m.low:g} … {m.high:g} | {healthy} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown_table(), end="")
