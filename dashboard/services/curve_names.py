"""What the metrics are called on the pages, which of them stand together, and finding them by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import filter as matching

from dashboard.services.catalogue import RunEntry
from rlhf_core.runs.metrics import Metric, find_metric

LABELS = {
    "train/loss": "Training loss",
    "train/accuracy": "Training accuracy",
    "eval/loss": "Held-out loss",
    "eval/perplexity": "Held-out perplexity",
    "eval/bits_per_byte": "Held-out bits per byte",
    "eval/accuracy": "Held-out accuracy",
    "eval/margin": "Held-out margin",
    "eval/calibration_error": "Calibration error",
    "eval/kendall_tau": "Agreement with the ranking (Kendall τ)",
    "eval/score": "Held-out score",
    "eval/win_rate": "Held-out win rate, by score",
    "eval/kl": "Held-out drift (KL)",
    "eval/audit_*": "Audit",
    "eval/response_length": "Held-out response length",
    "eval/distinct_2": "Different bigrams, held-out",
    "eval/perplexity_ref": "Perplexity under the reference",
    "objective/kl": "Drift from the reference (KL)",
    "objective/kl_coef": "Price of drift (β)",
    "objective/entropy": "Entropy per response",
    "objective/scores": "Score while training",
    "objective/score_*": "Score",
    "objective/score_disagreement": "Disagreement between reward models",
    "objective/non_score_reward": "KL penalty paid",
    "objective/rlhf_reward": "Score less penalty",
    "policy/approxkl": "Update size (approximate KL)",
    "policy/clipfrac": "Clipped ratios",
    "policy/entropy": "Entropy per token",
    "policy/ratio": "Mean probability ratio",
    "policy/first_ratio_error": "Ratio error before the first step",
    "loss/policy": "Policy loss",
    "loss/value": "Value loss",
    "loss/total": "Total loss",
    "returns/mean": "Mean return",
    "returns/var": "Variance of returns",
    "val/error": "Value error",
    "val/clipfrac": "Clipped values",
    "val/explained_variance": "Explained variance",
    "tokens/batch": "Tokens in the batch",
    "tokens/response_length": "Response length",
    "tokens/eos_frac": "Responses that end by themselves",
    "tokens/distinct_2": "Different bigrams",
    "optim/lr": "Learning rate",
    "optim/grad_norm": "Gradient norm",
    "time/rollout": "Sampling time",
    "time/score": "Scoring time",
    "time/update": "Update time",
}
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "pretrain": {
        "Key curves": ("train/loss", "eval/loss", "eval/perplexity", "eval/bits_per_byte"),
        "Optimiser": ("optim/lr", "optim/grad_norm", "tokens/batch"),
    },
    "sft": {
        "Key curves": ("train/loss", "eval/loss", "eval/perplexity"),
        "Optimiser": ("optim/lr", "optim/grad_norm", "tokens/batch"),
    },
    "reward": {
        "Key curves": ("train/loss", "eval/loss", "train/accuracy", "eval/accuracy"),
        "Ranking quality": ("eval/margin", "eval/calibration_error", "eval/kendall_tau"),
        "Optimiser": ("optim/lr", "optim/grad_norm", "tokens/batch"),
    },
    "ppo": {
        "Key curves": ("eval/score", "eval/win_rate", "objective/kl", "objective/scores"),
        "Reward": (
            *("objective/rlhf_reward", "objective/non_score_reward", "objective/kl_coef", "returns/mean"),
            *("objective/score_disagreement", "objective/score_*"),
        ),
        "Policy": (
            *("policy/entropy", "objective/entropy", "policy/approxkl", "policy/clipfrac"),
            *("policy/ratio", "policy/first_ratio_error"),
        ),
        "Value": ("val/explained_variance", "val/error", "val/clipfrac", "returns/var"),
        "Text": ("tokens/response_length", "tokens/eos_frac", "tokens/distinct_2", "tokens/batch"),
        "Held out": (
            *("eval/kl", "eval/audit_*", "eval/response_length"),
            *("eval/distinct_2", "eval/perplexity_ref"),
        ),
        "Loss and time": (
            *("loss/policy", "loss/value", "loss/total", "optim/grad_norm", "optim/lr"),
            *("time/rollout", "time/score", "time/update"),
        ),
    },
    "other": {
        "Key curves": ("train/loss", "eval/loss"),
        "Optimiser": ("optim/lr", "optim/grad_norm"),
    },
}
OTHER = "Other"
"""The group of what an imported run logged and no group of its stage has."""
BANDS = {"eval/win_rate": ("eval/win_rate_low", "eval/win_rate_high")}
MARKS = {"eval/win_rate": 0.5, "train/accuracy": 0.5, "eval/accuracy": 0.5, "objective/kl": 0.0, "eval/score": 0.0}
"""Heights at which nothing has been gained: chance for shares, zero for scores and drift."""


AXES_AND_BANDS = ("step", "time", "progress/*", "alarm/*", *(name for ends in BANDS.values() for name in ends))
"""Columns that are no curves of their own: what curves lie over, what stands around them, what is said in sentences."""


def about(metric: str) -> Metric:
    """Return what is known of a metric; of one that is not ours, that it stands under the name it was logged by."""
    try:
        return find_metric(metric)
    except KeyError:
        return Metric(metric, "", "not one of this project's metrics: it stands as it was logged")


def label(metric: str) -> str:
    """Return what a metric is called on the pages; one of a family with its own part of the name."""
    if metric in LABELS:
        return LABELS[metric]
    family = next((key for key in LABELS if key.endswith("*") and metric.startswith(key[:-1])), None)
    return f"{LABELS[family]}: {metric.removeprefix(family[:-1])}" if family else metric


def describe(metric: str) -> str:
    """Return a metric's definition, unit, healthy range and name, for its tooltip."""
    known = about(metric)
    healthy = f" A good run usually stays in {known.healthy[0]:g} … {known.healthy[1]:g}." if known.healthy else ""
    unit = f" Unit: {known.unit}." if known.unit else ""
    return f"{known.definition[0].upper()}{known.definition[1:]}.{unit}{healthy} Logged as {metric}."


def search(groups: dict[str, list[str]], wanted: str) -> list[str]:
    """Return the metrics whose name, or name on the page, `wanted` is found in: a part of it or a regular expression."""
    try:
        pattern = re.compile(wanted, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(wanted), re.IGNORECASE)
    names = dict.fromkeys(name for metrics in groups.values() for name in metrics)
    return [name for name in names if pattern.search(name) or pattern.search(label(name))]


def logged(entries: Sequence[RunEntry], stage: str) -> dict[str, list[str]]:
    """Return the groups of a stage with the metrics of which at least one run has logged a number."""
    frames = [entry.reader.metrics(stage) for entry in entries]
    names = sorted({name for frame in frames for name in frame.columns[frame.notna().any()]})
    groups = {
        group: list(dict.fromkeys(name for pattern in metrics for name in matching(names, pattern)))
        for group, metrics in GROUPS[stage].items()
    }
    placed = {name for metrics in groups.values() for name in metrics}
    placed |= {name for pattern in AXES_AND_BANDS for name in matching(names, pattern)}
    groups[OTHER] = [name for name in names if name not in placed]
    return {group: metrics for group, metrics in groups.items() if metrics}
