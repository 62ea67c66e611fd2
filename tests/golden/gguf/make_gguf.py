"""Writes the GGUF files of this folder with gguf-py 0.19 (tokenizers 0.23.3 for what the texts give): python3 make_gguf.py"""
import json

import gguf
import numpy as np
from gguf.quants import dequantize
from tokenizers import Tokenizer

T = gguf.GGMLQuantizationType
rng = np.random.default_rng(7)


def blocks():
    """Random blocks of every type, and beside each what gguf-py makes of it (NAME.values, F32)."""
    w = gguf.GGUFWriter("blocks.gguf", "llama")
    for t in (T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q4_K, T.Q5_K, T.Q6_K):
        n, size = gguf.GGML_QUANT_SIZES[t]
        raw = rng.integers(0, 256, (2, size * (2 if n > 1 else 8)), dtype=np.uint8)
        halves = {T.Q6_K: [208]}.get(t, [] if n == 1 else [0] if t in (T.Q8_0, T.Q4_0, T.Q5_0) else [0, 2])
        for row in raw:
            for b in range(2 if n > 1 else 0):
                for h in halves:  # scales: finite ones of all sizes, subnormal ones too
                    x = np.float16(rng.normal() * 10.0 ** rng.integers(-7, 1))
                    row[b * size + h:b * size + h + 2] = np.frombuffer(x.tobytes(), np.uint8)
        if t is T.F16:
            raw = rng.normal(size=(2, 8)).astype(np.float16) * np.array([[1], [1e-6]], np.float16)
            w.add_tensor("F16", raw)
            w.add_tensor("F16.values", raw.astype(np.float32))
            continue
        if t is T.BF16:
            raw[:, 1::2] &= 0x3f  # finite
        w.add_tensor(t.name, raw, raw_dtype=t)
        w.add_tensor(t.name + ".values", dequantize(raw, t).reshape(2, -1).astype(np.float32))
    finish(w)


def packed():
    """Numbers, and what gguf-py packs them to."""
    own = np.random.default_rng(11)
    x = own.normal(size=(12, 64)) * 10.0 ** own.integers(-9, 4, (12, 1))
    x[0] = 0
    x[1] = np.arange(64) * 127 / 63 - 63.5 # halves: away from zero
    x[1, ::32] = 127
    x[2, :32] = 2.0 ** -np.arange(32)      # down to halves' subnormals
    x[3, 5:] = -0.0
    x[4, :8] = [1 + 2.0 ** -11, 1 + 3 * 2.0 ** -11, 1 + 2.0 ** -8, 1 + 3 * 2.0 ** -8, 65504, -65504, 2.0 ** -25, 3 * 2.0 ** -25] # ties
    x = x.astype(np.float32)
    w = gguf.GGUFWriter("packed.gguf", "llama")
    w.add_tensor("values", x)
    w.add_tensor("F16", x.astype(np.float16))
    for t in (T.BF16, T.Q8_0):
        w.add_tensor(t.name, gguf.quants.quantize(x, t), raw_dtype=t)
    finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def permute(x, heads):
    """The converter's: halves of a head to neighbouring pairs."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def numbered(rows, cols):
    """Row r, column c is r + c / 64: a test knows what belongs where."""
    return (np.arange(rows)[:, None] + np.arange(cols)[None] / 64).astype(np.float32)


def model(path, arch, permuted, bias, vocab):
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(1)
    w.add_context_length(64)
    w.add_embedding_length(32)
    w.add_feed_forward_length(64)
    w.add_head_count(4)
    w.add_head_count_kv(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(5000.0)
    w.add_rope_dimension_count(8)
    p = permute if permuted else lambda x, heads: x
    w.add_tensor("token_embd.weight", numbered(len(vocab), 32).astype(np.float16))
    w.add_tensor("output_norm.weight", np.ones(32, np.float32))
    for n, rows, cols, heads in (("attn_q", 32, 32, 4), ("attn_k", 16, 32, 2), ("attn_v", 16, 32, 0), ("attn_output", 32, 32, 0),
                                 ("ffn_gate", 64, 32, 0), ("ffn_up", 64, 32, 0), ("ffn_down", 32, 64, 0)):
        x = p(numbered(rows, cols), heads) if heads else numbered(rows, cols)
        if n == "attn_k":  # blocks are put in order too: whole rows move
            x = gguf.quants.quantize(np.repeat(x[:, :1], 32, 1), T.Q8_0)
            w.add_tensor("blk.0.attn_k.weight", x, raw_dtype=T.Q8_0)
        else:
            w.add_tensor(f"blk.0.{n}.weight", x)
        if bias and n in ("attn_q", "attn_k", "attn_v"):
            w.add_tensor(f"blk.0.{n}.bias", np.arange(rows, dtype=np.float32))
    for n in ("attn_norm", "ffn_norm"):
        w.add_tensor(f"blk.0.{n}.weight", np.ones(32, np.float32))
    return w


U = "\u2581"


def spm():
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<0x0A>", 0, 6), ("<0xC3>", 0, 6), ("<0xA9>", 0, 6)]
    words = [U + "t", "he", U + "the", "ab", U + "a", "abc", "bc", U + U, "the", U + "abc", "th"]
    pieces += [(x, -float(i), 1) for i, x in enumerate(words)]
    pieces += [(c, -100.0 - i, 1) for i, c in enumerate(U + "theabc.")]
    pieces.append(("<turn>", -1000.0, 4))
    w = model("tiny-llama.gguf", "llama", True, False, pieces)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list([p[0] for p in pieces])
    w.add_token_scores([float(p[1]) for p in pieces])
    w.add_token_types([p[2] for p in pieces])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_chat_template("{{ messages[0].content }}")
    finish(w)
    vocab = {p[0]: i for i, p in enumerate(pieces)}
    score = {p[0]: p[1] for p in pieces}
    merges = []  # as transformers' generate_merges
    for piece, s in score.items():
        local = [(piece[:i], piece[i:], s) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += sorted(local, key=lambda x: (vocab[x[0]], vocab[x[1]]))
    merges = [(a, b) for a, b, _ in sorted(merges, key=lambda v: (v[2], len(v[0]), len(v[1])), reverse=True)]
    template = lambda *parts: [{"SpecialToken": {"id": "<s>", "type_id": t}} if k == "<s>" else {"Sequence": {"id": k, "type_id": t}} for k, t in parts]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "pre_tokenizer": None,
        "added_tokens": [{"id": i, "content": p[0], "special": p[2] != 4, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
                         for i, p in enumerate(pieces) if p[2] in (2, 3, 4)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": U}, {"type": "Replace", "pattern": {"String": " "}, "content": U}]},
        "post_processor": {"type": "TemplateProcessing", "single": template(("<s>", 0), ("A", 0)), "pair": template(("<s>", 0), ("A", 0), ("<s>", 1), ("B", 1)),
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": U}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": vocab, "merges": merges}}
    cases("tiny-llama", tokenizer, ["", "the", "the abc", " the  abc", "ababc.", "\u00e9\n", "xx the", "a<turn>bc</s>the", "thethe th", "aabbcc"])


def byte_level():
    tokens = ["<|end|>", "<tool>"] + list("iTabct1'h\u010a\u0120\u00c3\u00a9") + ["ab", "\u0120a", "\u0120ab", "th", "11"]
    merges = ["a b", "\u0120 a", "\u0120 ab", "\u0120a b", "t h", "1 1"]
    types = [3, 4] + [1] * (len(tokens) - 2)
    w = model("tiny-qwen2.gguf", "qwen2", False, True, tokens)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_eos_token_id(0)
    w.add_pad_token_id(0)
    w.add_add_bos_token(False)
    finish(w)
    regex = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": {"type": "NFC"}, "post_processor": None, "decoder": level,
        "added_tokens": [{"id": i, "content": tokens[i], "special": i == 0, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False} for i in (0, 1)],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}, level]},
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [m.split(" ") for m in merges]}}
    cases("tiny-qwen2", tokenizer, ["ab ab", "111", "a  ab", "e\u0301\u00e9", "it'T th", "a\n\nab<tool>ab<|end|>", ""])


def cases(name, tokenizer, texts):
    t = Tokenizer.from_str(json.dumps(tokenizer))
    with open(name + ".jsonl", "w") as f:
        for x in texts:
            e = t.encode(x)
            row = {"text": x, "ids": e.ids, "offsets": e.offsets, "decoded": t.decode(e.ids), "decoded_all": t.decode(e.ids, skip_special_tokens=False)}
            f.write(json.dumps(row, separators=(",", ":")) + "\n")


blocks()
packed()
spm()
byte_level()
