"""The README's commands: each is one the program and the Makefile know, with files that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main

from rlhf_core.cli import app
from rlhf_core.config import PipelineConfig
from rlhf_core.config.files import read_config
from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.config.task import TaskConfig

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
LINES = [line.strip() for block in BLOCKS for line in block.splitlines()]
RLHF = [line for line in LINES if line.startswith("rlhf ")]
TARGETS = {
    target
    for text in [*BLOCKS, *re.findall(r"`([^`\n]+)`", README)]
    for target in re.findall(r"\bmake ([a-z-]+)", text)
}


def parse(line: str) -> tuple[str, dict[str, Any]]:
    """Return the command and its parsed parameters; an unknown option or a missing argument raises."""
    words = shlex.split(line, comments=True)[1:]
    name, command, context = "rlhf", typer.main.get_command(app), None
    while isinstance(command, typer.core.TyperGroup):
        context = command.make_context(name, list(words), parent=context)
        name, found, words = command.resolve_command(context, words)
        assert name and found
        command = found
    with command.make_context(name, words, parent=context) as parsed:
        return name, parsed.params


def test_the_readme_shows_commands() -> None:
    assert len(RLHF) >= 5 and {"demo", "test"} <= TARGETS


@pytest.mark.parametrize("line", RLHF)
def test_every_rlhf_command_is_understood(line: str) -> None:
    command, parameters = parse(line)
    if config := parameters.get("config"):
        schema = {"pretrain": PretrainConfig, "create": TaskConfig}.get(command, PipelineConfig)
        read_config(schema, ROOT / config, parameters.get("overrides") or [])
    for file in parameters.get("files") or []:
        assert list(ROOT.glob(str(file))), file


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    for line in ("rlhf pipline x.yaml", "rlhf report", "rlhf runs --rot x"):
        with pytest.raises(Exception, match=r"No such (command|option)|Missing parameter"):
            parse(line)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def test_every_link_into_the_project_leads_somewhere() -> None:
    links = [
        link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README) if not link.startswith(("http", "#"))
    ]
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_file_tree_names_what_is_there() -> None:
    tree = README.split("## What is where", 1)[1].split("```")[1]
    folder, named = "", []
    for line in tree.strip().splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        folder = folder if line.startswith(" ") else ""
        named += [folder + name for name in names]
        folder = folder or names[0]
    assert len(named) >= 15 and [name for name in named if not (ROOT / name).exists()] == []
