"""How a result came about, in short passages: what was compared, trained and judged, on which data, and what it cannot say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rlhf_core.report.judged_words import the
from rlhf_core.report.parts import Facts, Passage
from rlhf_core.report.verdict import REWARD, main_votes
from rlhf_core.report.words import count, label, percent, sentence_case

Settings = Mapping[str, Any]
DATA = {
    "prompts": "Prompts",
    "demonstrations": "Demonstrations",
    "rankings": "Rankings",
    "refusal_prompts": "Test of refusals",
}
NOT_CORRECTED = (
    "Intervals cover 95% one by one and are not corrected for their number: among twenty rows without any effect, one is expected "
    "to miss 0."
)
_EXAMPLES = "The prompts whose reward-model score rose most and fell most are shown; nobody chose them."


def method(facts: Facts, settings: Settings) -> tuple[Passage, ...]:
    """Return how the comparison was made; `settings` is the run's configuration, of which any part may be missing."""
    told = (
        Passage("Compared", _compared(facts, settings)),
        Passage("Trained", " ".join(_trained(settings))),
        Passage("Rewarded", _rewarded(settings)),
        Passage("Judged by people", _judged(facts)),
        Passage("Scored by machines", _scored(facts)),
        Passage("Intervals", _intervals(facts)),
        Passage("Examples", _EXAMPLES if facts.gains else ""),
    )
    return tuple(passage for passage in told if passage.text)


def data(facts: Facts, settings: Settings) -> tuple[Passage, ...]:
    """Return what was learnt from and what was held out."""
    files = settings.get("data") or {}
    named = [Passage(title, str(files[name])) for name, title in DATA.items() if files.get(name)]
    held = Counter(label(answer.category) or "without category" for answer in facts.answers)
    parts = ", ".join(f"{amount} {name}" for name, amount in held.most_common())
    shown = parts if len(held) == 1 else f"{len(facts.answers)}: {parts}"
    tested = facts.reward_model
    more = [
        (bool(held), Passage("Held-out prompts", f"{shown}. No training stage saw them.")),
        (tested is not None, Passage("Held-out rankings", _rankings(tested or {}))),
    ]
    return (*named, *(passage for known, passage in more if known))


def limitations(facts: Facts) -> tuple[str, ...]:
    """Return what this report cannot say, beside its caveats: rules on the facts, those about people first."""
    votes = main_votes(facts.human_votes, facts)
    said = (
        (
            votes is None,
            "Nobody has judged its answers, so nothing here shows what people prefer.",
        ),
        (votes is not None and "for these" in votes.win_rate.method, _ONE_PANEL),
        (
            bool(facts.answers),
            f"It speaks of prompts like the {len(facts.answers)} that were held out, and of no others.",
        ),
        (bool(facts.answers), "Each contender answered each prompt once; other draws of the same models would differ."),
        (facts.run.seed is not None, f"One training run with seed {facts.run.seed}; other seeds reach other figures."),
        (
            REWARD in facts.scorers,
            "The reward-model score was optimised. It is evidence of training, not of preference.",
        ),
        (facts.refusals is None, "Over-refusal was not tested: no harmless prompts that look harmful were asked."),
        (not facts.provenance.weights and bool(facts.answers), _NO_WEIGHTS),
        (bool(facts.comparisons), NOT_CORRECTED),
    )
    blind = [f"{s.name}: {s.blind_spots}" for s in facts.scorers.values() if s.blind_spots and s.name != REWARD]
    return (*(text for holds, text in said if holds), *blind)


_ONE_PANEL = "The interval is for these labellers; it does not say what others would choose."
_NO_WEIGHTS = "The weights are not kept with this run, so its models have no fingerprint here."


def reproduce(facts: Facts) -> tuple[Passage, ...]:
    """Return the commands that make the run and this report again, and what must come out the same."""
    run, made = facts.run, facts.provenance
    told = (
        Passage("The code", f"git checkout {run.commit}" if run.commit else ""),
        Passage("The run", run.command or ""),
        Passage("This report", f"SOURCE_DATE_EPOCH={_seconds(made.made)} rlhf report {run.name} --out report"),
    )
    return tuple(passage for passage in told if passage.text)


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def _compared(facts: Facts, settings: Settings) -> str:
    if not facts.answers:
        return ""
    how, longest = settings.get("generate") or {}, ""
    if how:
        longest = (
            f", sampled at temperature {how.get('temperature')} with at most {how.get('max_new_tokens')} new tokens"
        )
    asked = count(len(facts.answers), "held-out prompt")
    system = (settings.get("policy") or {}).get("system_prompt")
    said = f" Every contender had the system prompt “{system}”" if system else ""
    return f"{sentence_case(the(facts.contender))} against {the(facts.baseline)} on {asked}{longest}.{said}"


def _trained(settings: Settings) -> Iterator[str]:
    policy, tuned, ppo = (settings.get(name) or {} for name in ("policy", "sft", "ppo"))
    if not policy:
        return
    lora = policy.get("lora")
    how = f"LoRA of rank {lora.get('r')} on the {lora.get('targets')} layers" if lora else "all weights trained"
    yield f"The policy began as {policy.get('model')} ({how})."
    yield (
        f"It was fine-tuned on demonstrations for up to {count(int(tuned.get('epochs') or 0), 'epoch')}."
        if tuned
        else "It was not fine-tuned on demonstrations first."
    )
    if ppo:
        steps = count(int(ppo.get("iterations") or 0), "iteration")
        yield (
            f"PPO then ran for up to {steps} of {ppo.get('batch_size')} responses, with a KL price of {ppo.get('kl_coef')} "
            f"and a clip range of {ppo.get('clip_range')}."
        )


def _rewarded(settings: Settings) -> str:
    ppo, model = settings.get("ppo") or {}, (settings.get("reward") or {}).get("model")
    if not ppo:
        return ""
    rewards = ppo.get("rewards") or [{"kind": "learned"}]
    named = [" ".join(str(one[key]) for key in ("kind", "name", "category") if one.get(key)) for one in rewards]
    learned = f" The learned reward model began as {model}." if model else ""
    audits = [str(one.get("name") or one.get("kind")) for one in ppo.get("audits") or []]
    beside = f" Measured and never optimised: {', '.join(audits)}." if audits else ""
    return f"PPO was rewarded by: {', '.join(named)}.{learned}{beside}"


def _judged(facts: Facts) -> str:
    votes = main_votes(facts.human_votes, facts)
    if votes is None:
        return ""
    return (
        f"{count(votes.labellers, 'person', 'people')} gave {count(votes.n, 'vote')} on {count(votes.prompts, 'prompt')}: "
        "two answers side by side without names, sides counterbalanced. A win counts 1, a tie or both bad ½, a loss 0. Every "
        "vote in force counts; none was removed."
    )


def _scored(facts: Facts) -> str:
    named = [f"{s.name} ({s.version})" if s.version else s.name for s in facts.scorers.values()]
    return f"Every answer was scored by: {', '.join(named)}." if named else ""


def _intervals(facts: Facts) -> str:
    votes = main_votes(facts.human_votes, facts)
    methods = list(dict.fromkeys(row.method for row in facts.comparisons))
    people = [f"Win rate: {votes.win_rate.method}."] if votes else []
    paired = [f"Differences are paired by prompt: {'; '.join(methods)}."] if methods else []
    return " ".join(["All intervals are 95% intervals.", *people, *paired]) if people or paired else ""


def _rankings(tested: Mapping[str, Any]) -> str:
    pairs = count(int(tested.get("n_pairs") or 0), "pair")
    prompts = count(int(tested.get("n_prompts") or 0), "prompt")
    longer = (tested.get("length") or {}).get("longer_wins")
    share = "" if longer is None else f" The longer answer was chosen in {percent(longer)}."
    return f"{pairs} from {prompts}, on which the reward model was tested.{share}"
