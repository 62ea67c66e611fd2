#!/usr/bin/env python3
"""tiny_chat_model.py FOLDER: the tiny Llama of tests/golden with a tokenizer of single bytes and a chat template.

Of its 160 tokens 0 to 4 are <unk>, <s>, </s>, <|im_start|>, <|im_end|>, the rest stands for one byte each: line end, the
printable ASCII, then bytes of UTF-8. Standard library only."""
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def letters():
    """GPT-2's letter for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = (b for b in range(256) if b not in shown)
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(spare)}}


def main():
    out = sys.argv[1]
    shutil.copytree(os.path.join(HERE, "../golden/models/llama"), out)
    letter = letters()
    vocabulary = SPECIAL + [letter[b] for b in [10, *range(32, 127), *range(128, 187)]]
    added = [{"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, s in enumerate(SPECIAL)]
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
                 "post_processor": None,
                 "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
                 "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                           "vocab": {s: i for i, s in enumerate(vocabulary)}, "merges": []}}
    for name, content in (("tokenizer.json", tokenizer),
                          ("tokenizer_config.json", {"chat_template": TEMPLATE, "eos_token": "</s>", "bos_token": "<s>"})):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            json.dump(content, f)


main()
