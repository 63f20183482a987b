"""What is said of an answer while it is written: the run's reward model, by each of its heads, and its toxicity scorers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rlhf_core.config import PipelineConfig
from rlhf_core.errors import RlhfError, RunError
from rlhf_core.evaluation.toxicity import ToxicityScorer, load_scorer
from rlhf_core.models.rewards import RewardEnsemble, RewardModel
from rlhf_core.playground.protocol import Event, Loading, Missing, Score
from rlhf_core.stages import own_reward_model

REWARD_MODEL = "reward model"


class Scoring:
    """The scorers of a run that can be had; what cannot is told, once, and left out."""

    def __init__(self, config: PipelineConfig, tell: Callable[[Event], None]) -> None:
        self.reward: RewardModel | RewardEnsemble | None = None
        self._toxicity: list[ToxicityScorer] = []
        tell(Loading(what="the reward model"))
        try:
            self.reward = _reward_model(config)
        except RlhfError as error:
            tell(Missing(scorer=REWARD_MODEL, why=str(error)))
        for name in config.evaluate.toxicity:
            tell(Loading(what=name))
            try:
                self._toxicity.append(load_scorer(name, config.evaluate.detoxify_checkpoint))
            except RlhfError as error:
                tell(Missing(scorer=name, why=str(error)))

    def measure(self, prompt: str, text: str) -> tuple[Score, ...]:
        """Return what every scorer says of one answer; `prompt` is the transcript of what was asked."""
        said = self._rewards(prompt, text)
        for scorer in self._toxicity:
            values = scorer.score([text])
            said += [Score(scorer=scorer.name, measure=name, value=value) for name, (value,) in values.items()]
        return tuple(said)

    def best(self, prompt: str, texts: Sequence[str]) -> int:
        """Return the place of the answer that the reward model scores highest, the first of equals.

        Raises:
            RunError: there is no reward model that could choose.
        """
        if self.reward is None:
            raise RunError("best-of-n needs the run's reward model", remedy="Run `rlhf reward CONFIG`")
        return int(self.reward.score([prompt] * len(texts), texts).argmax())

    def _rewards(self, prompt: str, text: str) -> list[Score]:
        if self.reward is None:
            return []
        first = self.reward.members[0] if isinstance(self.reward, RewardEnsemble) else self.reward
        heads = list(first.categories)
        count = max(1, len(heads))
        values = self.reward.score([prompt] * count, [text] * count, heads or None).tolist()
        names = heads or ["score"]
        return [Score(scorer=REWARD_MODEL, measure=m, value=v) for m, v in zip(names, values, strict=True)]


def _reward_model(config: PipelineConfig) -> RewardModel | RewardEnsemble:
    folder: Path = config.run_path / "reward" / "model"
    if not folder.is_dir():
        raise RunError("no reward model yet", where=folder, remedy="Run `rlhf reward CONFIG`")
    return own_reward_model(config)
