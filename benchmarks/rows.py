"""The rows of the table: which work, ours against whom, and what is to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.measure import Task
from benchmarks.products import of_ppo_default, of_ppo_full, of_reward, of_rollouts
from benchmarks.work import Work
from rlhf_core.config import PPOConfig

FASTER_THAN_GENERATE, SHARE_OF_CEILING = 3.0, 0.7
FASTER_THAN_TRL, SHARE_OF_MEMORY = 1.6, 0.8
DEFAULT_RECIPE = {"float32": 6.0, "bfloat16": 3.0}
LINEAR = 1 / 1.2
"""A token of four times the work may cost a fifth more: attention within a sequence is not linear."""


@dataclass(frozen=True)
class Row:
    """Ours against another task. `speed` is the least (our rate)/(theirs), `memory` the largest (our peak)/(theirs)."""

    name: str
    label: str
    ours: Task
    other: Task
    unit: str
    speed: float | None = None
    memory: float | None = None
    per: float = 0.0
    """Given, rates are shown as seconds per this amount."""
    products: float = 0.0
    """Operations in matrix products per unit of ours, where they are known."""

    @property
    def peak(self) -> Task | None:
        """What measures how fast this machine does such products."""
        return Task("ours.products:peak", replace(self.ours.work, steps=1)) if self.products else None


def all_rows(model: Work, *, smoke: bool) -> list[Row]:
    """Return every row; `model` says on which models and in which type, `smoke` shrinks the work to a moment's."""
    return [*_rollouts(model, smoke), *_ppo(model, smoke), *_reward(model, smoke)]


def _rollouts(base: Work, smoke: bool) -> Iterator[Row]:
    batches, length = ((2,), 8) if smoke else ((16, 32, 64), 64)
    for batch in batches:
        work = replace(base, batch=batch, prompt=length, response=length)
        ours = Task("ours.rollouts:sampled", work)
        goals = (FASTER_THAN_GENERATE, SHARE_OF_CEILING) if batch == 32 else (None, None)
        label, unit = f"rollouts, batch {batch}, {work.prompt} + {work.response} tokens", "tokens/s"
        yield Row(
            f"rollouts-{batch}", f"{label}: generate", ours, Task("peers.rollouts:sampled", work), unit, goals[0],
            products=of_rollouts(work),
        )  # fmt: skip
        yield Row(
            f"rollouts-{batch}-ceiling", f"{label}: ceiling", ours, Task("ours.rollouts:ceiling", work), unit, goals[1]
        )


def _ppo(base: Work, smoke: bool) -> Iterator[Row]:
    work = replace(base, batch=4, prompt=8, response=4, epochs=2, steps=1) if smoke else base
    full, default, trl = (Task(does, work) for does in ("ours.ppo:full", "ours.ppo:default", "peers.ppo:full"))
    size, per = f"{work.batch} × ({work.prompt} + {work.response})", work.tokens / work.steps
    yield Row(
        "ppo-full", f"PPO {size}, all weights, separate value model: TRL", full, trl, "s/iteration",
        FASTER_THAN_TRL, SHARE_OF_MEMORY, per, of_ppo_full(work),
    )  # fmt: skip
    goal = DEFAULT_RECIPE[base.dtype]
    yield Row(
        "ppo-default", f"PPO {size}, default recipe: TRL", default, trl, "s/iteration",
        goal, None, per, of_ppo_default(work, PPOConfig().lora_layers),
    )  # fmt: skip
    longer = replace(work, prompt=4 * work.prompt, response=4 * work.response)
    for name, larger in (("batch", replace(work, batch=4 * work.batch)), ("length", longer)):
        task = Task("ours.ppo:default", larger)
        yield Row(f"linear-{name}", f"PPO default recipe, 4 × {name}: 1 ×", task, default, "tokens/s", LINEAR)


def _reward(base: Work, smoke: bool) -> Iterator[Row]:
    small = replace(base, batch=2, prompt=4, response=4, steps=2)
    work = small if smoke else replace(base, prompt=60, response=60, steps=30)
    tasks = Task("ours.reward:trained", work), Task("peers.reward:trained", work)
    label = f"reward training, {work.batch} pairs: TRL"
    yield Row("reward", label, *tasks, "pairs/s", FASTER_THAN_TRL, products=of_reward(work))
