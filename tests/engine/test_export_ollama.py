"""The Modelfile: a template in Go's language that writes what the Jinja one does, and every stop token."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tiny import REPOSITORY
from transformers import AutoTokenizer

from core.engine.exporting import ollama
from core.errors import Trouble
from core.templates import TEMPLATES, settled

SAMPLE = REPOSITORY / "resources" / "sample" / "stories-0.8M"
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m.role != 'system' %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim "
    "+ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
NUMBERED = "{% for m in messages %}{{ loop.index }}. {{ m['content'] }}\n{% endfor %}"
SHOUTING = "{% for m in messages %}{{ m['content'] | upper }}\n{% endfor %}"


def render_of(template: str) -> ollama.Render:
    tokenizer = AutoTokenizer.from_pretrained(SAMPLE)

    def render(messages: Sequence[ollama.Message], answer: bool) -> str:
        return str(
            tokenizer.apply_chat_template(
                list(messages), chat_template=template, tokenize=False, add_generation_prompt=answer
            )
        )

    return render


@pytest.mark.parametrize("name", [*TEMPLATES, "qwen", "gemma"])
def test_the_pieces_write_what_the_template_writes(name: str) -> None:
    others = {"qwen": QWEN, "gemma": GEMMA}
    template = others.get(name) or settled(name, start="<s>", end="</s>", has_token=lambda _: False)
    render = render_of(template)
    pieces = ollama.pieces_of(render)
    talk = [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": '3 "{{ x }}"'},
    ]
    assert pieces.write(talk) == render(talk, True)
    assert (pieces.system is None) == (name == "gemma")


def test_a_token_that_the_runtime_adds_is_not_written_twice() -> None:
    render = render_of(settled("plain", start="<s>", end="</s>", has_token=lambda _: False))
    pieces = ollama.pieces_of(render, drop="<s>")
    talk = [{"role": "user", "content": "1"}]
    assert "<s>" + pieces.write(talk) == render(talk, True)


@pytest.mark.parametrize("template", [NUMBERED, SHOUTING])
def test_a_template_with_other_rules_is_refused(template: str) -> None:
    with pytest.raises(Trouble, match="can't be said in Ollama's language"):
        ollama.pieces_of(render_of(template))


def test_the_modelfile_names_file_template_and_every_stop_token() -> None:
    pieces = ollama.Pieces('<|user|>\n"', "{{sys}}", "\\", "</s>", "\n", "ä")
    text = ollama.modelfile("m.gguf", pieces.go(), ["</s>", 'a"b'], 512)
    assert text.startswith("FROM ./m.gguf\n")
    assert ollama.stops_in(text) == ["</s>", 'a"b']
    assert '{{ "<|user|>\\n\\"" }}' in text
    assert '{{ "{{sys}}" }}' in text  # braces of the template are text, not actions
    assert text.count('"""') == 2
    assert "PARAMETER num_ctx 512" in text
