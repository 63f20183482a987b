"""For all tests: one thread, no model hub, a model cache of the session's own, and checked tensor shapes in `rlhf_core.ops`."""

from __future__ import annotations

import gc
import os

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported; subprocesses inherit it
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Iterator

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from rlhf_core.models.packaged import cache_folder

REAL_CACHE = cache_folder()

settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")

install_import_hook("rlhf_core.ops", "beartype.beartype")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what peft has not yet renamed; every other warning is an error."""
    config.addinivalue_line("filterwarnings", "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: packed ones may hold the time, and every worker must find the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """Take what importing made out of every later garbage collection: it stays, and walking it takes half a second each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep models in a folder of this session, so that nothing a test finds was left by an earlier one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLHF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def fetched_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for models where `rlhf models fetch` put them, for tests marked real_model."""
    monkeypatch.setenv("RLHF_CACHE", str(REAL_CACHE))
