"""Chat templates of models that leave: what our own code adds is written into them, so that transformers adds it too."""

from __future__ import annotations

PLAIN = "{{ messages | map(attribute='content') | join('\\n\\n') }}{{ '\\n\\n' }}"
"""The messages set apart by empty lines: how a tokenizer without a template is asked (`chat_text`)."""


def with_system_prompt(template: str | None, system_prompt: str) -> str:
    """Return a template that puts `system_prompt` before conversations that bring none; without one the template as it is."""
    template = template or PLAIN
    if not system_prompt:
        return template
    message = f"{{'role': 'system', 'content': {_literal(system_prompt)}}}"
    has_none = "not messages or messages[0]['role'] != 'system'"
    return f"{{% if {has_none} %}}{{% set messages = [{message}] + messages %}}{{% endif %}}{template}"


def trimmed(template: str) -> str:
    """Return a template without the white space around what it writes: a reward model reads its last token, and that is eos."""
    return f"{{% filter trim %}}{template}{{% endfilter %}}"


def _literal(text: str) -> str:
    """A text as a string in double quotes that Jinja reads back letter by letter, whatever stands in it."""
    return '"' + text.encode("unicode-escape").decode("ascii").replace('"', '\\"') + '"'
