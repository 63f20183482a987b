"""The policy: a language model with adapters, its value function, and the reference behind it.

A *policy folder* holds either plain Hugging Face weights, or a LoRA adapter with `policy.json` naming the model below it.
Loading merges the adapters below, so the policy starts equal to its reference, and the reference is "adapter off".
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rlhf_core.config import LoraConfig, PolicyConfig
from rlhf_core.data.io import write_json
from rlhf_core.data.records import Message
from rlhf_core.errors import ModelError
from rlhf_core.models.attention import use_products
from rlhf_core.models.chat import (
    ChatMessage,
    LongPrompts,
    chat_messages,
    chat_text,
    encoder_ids,
    token_ids,
    without_oldest_turn,
)
from rlhf_core.models.checkpointing import checkpointed_layers
from rlhf_core.models.device import choose_dtype, products_in
from rlhf_core.models.forward import plain, run_responses
from rlhf_core.models.heads import value_head
from rlhf_core.models.lora import add_adapters
from rlhf_core.models.prefix import splits_prefixes
from rlhf_core.models.sources import load_tokenizer, read_json, resolve
from rlhf_core.models.trunk import shared_trunk
from rlhf_core.ops.text_masks import common_prefix

FORMAT = "policy.json"


class Policy(nn.Module):
    """A language model, a decoder or an encoder with a decoder, that is trained or only sampled from.

    Attributes:
        lm: the language model, with adapters injected when `lora` was given.
        trunk: the layers below the first adapter, when there are any; see `below`.
        gradient_checkpointing: whether training forwards keep no activations inside layers; see `forward_pass`.
        products: bfloat16 where all weights learn that came in it: they learn in float32 and are multiplied in bfloat16.
            Anything else leaves products as the weights are.
    """

    def __init__(self, lm: Any, tokenizer: Any, source: str, lora: LoraConfig | None, trainable: bool) -> None:
        super().__init__()
        self.tokenizer, self.source, self.lora = tokenizer, source, lora
        self.gradient_checkpointing = False
        self.products = next(lm.parameters()).dtype if trainable and lora is None else torch.float32
        self.fingerprint = fingerprint_of(lm)
        self._frozen: list[Any] = []  # in a list, so that the copy is not a submodule with parameters to save
        lm.requires_grad_(trainable and lora is None)
        self.lm = add_adapters(lm, lora) if trainable and lora else lm
        if trainable and lora is None:
            self.lm.float()  # before the copy: in another precision the KL would not start at exactly 0
            self._frozen.append(copy.deepcopy(lm).requires_grad_(False))
        self.eval()  # dropout stays off, in training too
        self.trunk = shared_trunk(self.lm) if trainable and lora else None

    @property
    def width(self) -> int:
        """Hidden size of the trunk."""
        return self.lm.config.hidden_size

    @property
    def dtype(self) -> torch.dtype:
        """Of the frozen base."""
        return next(self.lm.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where it computes; `to` moves it, its reference with it."""
        return next(self.lm.parameters()).device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Policy:
        for frozen in self._frozen:
            frozen._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @property
    def encodes(self) -> bool:
        """Whether an encoder reads the prompts, apart from the responses."""
        return bool(self.lm.config.is_encoder_decoder)

    @property
    def context(self) -> int:
        """Longest sequence, in tokens."""
        return int(getattr(self.lm.config, "max_position_embeddings", 1 << 20))

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """Yield the reference language model: adapters off, or the frozen copy."""
        switch = self.lm.disable_adapter() if self.lora and hasattr(self.lm, "disable_adapter") else nullcontext()
        with switch:
            yield self._frozen[0] if self._frozen else self.lm

    def common_prefix(self, prompts: Sequence[list[int]]) -> int:
        """Return how many tokens that all `prompts` begin with can be run once for all of them.

        0 where layers are checkpointed: they keep no keys and values.
        """
        able = splits_prefixes(plain(self.lm)) and not self.gradient_checkpointing
        return common_prefix(prompts) if able else 0

    def below(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], prefix: int = 0
    ) -> Float[Tensor, "batch time width"] | None:
        """Return the activations that policy and reference share whatever is learnt; None where they share none."""
        return self.trunk.below(ids, mask, prefix) if self.trunk else None

    def run(
        self,
        ids: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
        counts: Bool[Tensor, "batch time"],
        below: Float[Tensor, "batch time width"] | None = None,
        prefix: int = 0,
        *,
        reference: bool = False,
    ) -> tuple[Float[Tensor, "tokens vocab"], Float[Tensor, "tokens width"]]:
        """Run policy or reference over responses, as `run_responses`; with `below` only the layers above it."""
        with self.reference() if reference else nullcontext(self.lm) as lm:
            if below is not None and self.trunk:
                lm = self.trunk.above
            with self.forward_pass():
                return run_responses(lm, ids if below is None else below, mask, counts, prefix)

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """Make a forward pass of training: products in `products`, layers checkpointed where `gradient_checkpointing` says so."""
        saves = self.gradient_checkpointing and torch.is_grad_enabled()
        with products_in(self.products, self.device), checkpointed_layers(self.lm) if saves else nullcontext():
            yield

    def sampler(self, lm: Any = None) -> Any:
        """Return the model to sample from: the policy, or another `lm`, as a copy of that type where products are in bfloat16."""
        lm = lm or self.lm
        return copy.deepcopy(lm).bfloat16() if self.products == torch.bfloat16 else lm

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the parameters that learn, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def encode_prompt(
        self,
        prompt: str | Sequence[Message],
        system_prompt: str,
        max_tokens: int,
        long_prompts: LongPrompts = "refuse",
    ) -> list[int]:
        """Return the token ids of the chat-formatted prompt or conversation, ready for the assistant's answer.

        Raises:
            ModelError: it is longer than `max_tokens`, after "drop_turns" even without the turns before the last message.
        """
        messages = self.fit_prompt(prompt, system_prompt, max_tokens, long_prompts)
        return self._prompt_ids(messages)

    def fit_prompt(
        self, prompt: str | Sequence[Message], system_prompt: str, max_tokens: int, long_prompts: LongPrompts
    ) -> list[ChatMessage]:
        """Return the messages that `encode_prompt` formats: system prompt, conversation, without the turns it drops."""
        messages = chat_messages(prompt, system_prompt)
        while True:
            size = len(self._prompt_ids(messages))
            if size <= max_tokens:
                return messages
            shorter = without_oldest_turn(messages)
            if long_prompts == "refuse" or shorter is None:
                raise ModelError(
                    f"the prompt has {size} tokens with the chat format; the limit is {max_tokens}",
                    value=messages[-1]["content"],
                    remedy="Shorten it, or raise policy.max_prompt_tokens (the model's own limit is "
                    f"{self.context} tokens)",
                )
            messages = shorter

    def _prompt_ids(self, messages: Sequence[ChatMessage]) -> list[int]:
        if self.encodes:
            return encoder_ids(self.tokenizer, messages)
        return token_ids(self.tokenizer, chat_text(self.tokenizer, messages))

    def encode_response(self, response: str) -> list[int]:
        """Return the token ids of a response, closed with eos."""
        return [*self.tokenizer(response, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]

    def decode_response(self, ids: Sequence[int]) -> str:
        """Return the text of a response up to its eos."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def save(self, folder: Path) -> None:
        """Write the policy as a policy folder: an adapter and its base, or full weights."""
        folder.mkdir(parents=True, exist_ok=True)
        self.lm.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.lora:
            write_json(folder / FORMAT, {"base": _portable(self.source, folder)})


class ValueModel(nn.Module):
    """V(s) for every response position: a zero-initialised head on the policy's own trunk, or on a trunk of its own.

    A separate trunk starts as a copy of the policy's base and gets adapters like the policy's.
    """

    def __init__(self, policy: Policy, *, separate: bool) -> None:
        super().__init__()
        self.head = value_head(policy.width)
        self.lm = _separate_trunk(policy) if separate else None
        self.products = policy.products
        self.to(policy.device)

    @property
    def separate(self) -> bool:
        """Whether it has a trunk of its own."""
        return self.lm is not None

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
        counts: Bool[Tensor, "batch time"],
        hidden: Float[Tensor, "tokens width"],
        prefix: int = 0,
    ) -> Float[Tensor, "tokens"]:
        """Return the value before each response token; `hidden` are the policy's states, which a shared head reads."""
        if self.lm is not None:
            with products_in(self.products, ids.device):
                hidden = run_responses(self.lm, ids, mask, counts, prefix)[1]
        return self.head(hidden.float()).squeeze(-1)


def load_policy(
    source: str | Path, config: PolicyConfig, *, trainable: bool, device: torch.device | None = None
) -> Policy:
    """Load a policy from a model source or a policy folder, merging the adapters on the way down; None is the processor.

    Raises:
        ModelNotFoundError: `source`, or a model below it, is not here.
    """
    lm = load_merged(str(source), choose_dtype(config.dtype, device))
    tokenizer = load_tokenizer(source)
    lm.config.pad_token_id = tokenizer.pad_token_id
    return Policy(lm, tokenizer, str(source), config.lora, trainable).to(device)


def load_merged(source: str, dtype: torch.dtype) -> Any:
    """Return the plain language model of a source: its weights with every adapter in the chain merged in."""
    from peft import PeftModel

    folder = resolve(source)
    if not (folder / FORMAT).is_file():
        return _plain_model(folder, dtype)
    base = read_json(folder / FORMAT)["base"]
    below = load_merged(str(folder / base) if base.startswith(".") else base, dtype)
    merged: Any = PeftModel.from_pretrained(below, str(folder)).merge_and_unload()
    return merged.eval()


def _plain_model(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    if AutoConfig.from_pretrained(folder).is_encoder_decoder:
        return AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype).eval()
    return use_products(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)).eval()


def fingerprint_of(model: nn.Module) -> str:
    """Return a short hash of a model's parameter names, shapes and a few weights: tells models apart, costs milliseconds."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        flat = weight.detach().flatten()
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(flat[:: max(1, flat.numel() // 16)].float().numpy(force=True).tobytes())
    return digest.hexdigest()[:16]


def _separate_trunk(policy: Policy) -> Any:
    twin = load_merged(policy.source, policy.dtype)
    return add_adapters(twin, policy.lora).eval() if policy.lora else twin.float().requires_grad_(True)


def _portable(source: str, folder: Path) -> str:
    """A folder as a path relative to the one that names it, so that a run directory can be moved; other sources as they are."""
    return os.path.relpath(source, folder) if Path(source).is_dir() else source
