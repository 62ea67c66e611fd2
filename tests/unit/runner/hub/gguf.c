/* runner_gguf - GGUF files: blocks bit for bit as gguf-py has them, names, order of rows,
 * configuration and tokenizer (tests/golden/gguf), and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "kernels/half.h"
#include "runner/hub/gguf_model.h"
#include "runner/hub/hf_model.h"
#include "runner/hub/model_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/golden/gguf/"

/* ---- numbers ----------------------------------------------------------------------- */

static void test_blocks(void **state)
{
    (void)state;
    static const char *const names[] = {"F16",  "BF16", "Q8_0", "Q4_0", "Q4_1",
                                        "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"};
    struct gguf *g;
    struct err err = ERR_INIT;
    assert_int_equal(gguf_open(FOLDER "blocks.gguf", &g, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char values[32];
        snprintf(values, sizeof values, "%s.values", names[i]);
        const struct gguf_tensor *t = gguf_find_tensor(g, names[i]),
                                 *want = gguf_find_tensor(g, values);
        assert_non_null(t);
        assert_string_equal(t->type->name, names[i]);
        assert_string_equal(want->type->name, "F32");
        assert_int_equal(t->count, want->count);
        float out[BLOCK_ELEMENTS_MAX];
        for (int64_t b = 0; b < t->count / t->type->elements; b++) {
            const size_t n = (size_t)t->type->elements * sizeof *out;
            t->type->unpack(t->data + b * t->type->bytes, out);
            if (memcmp(out, want->data + (size_t)b * n, n) != 0)
                fail_msg("%s: block %d differs", names[i], (int)b);
        }
    }
    gguf_close(g);
}

/* What is written equals what gguf-py writes, bit for bit. */
static void test_packed(void **state)
{
    (void)state;
    static const char *const names[] = {"F16", "BF16", "Q8_0"};
    struct gguf *g;
    struct err err = ERR_INIT;
    assert_int_equal(gguf_open(FOLDER "packed.gguf", &g, &err), 0);
    const struct gguf_tensor *values = gguf_find_tensor(g, "values");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct gguf_tensor *t = gguf_find_tensor(g, names[i]);
        uint8_t out[64];
        float in[32];
        assert_ptr_equal(t->type, block_type_named(names[i]));
        for (int64_t b = 0; b < t->count / t->type->elements; b++) {
            const size_t n = (size_t)t->type->elements * sizeof *in;
            memcpy(in, values->data + (size_t)b * n, n);
            t->type->pack(in, out);
            if (memcmp(out, t->data + b * t->type->bytes, (size_t)t->type->bytes) != 0)
                fail_msg("%s: block %d differs", names[i], (int)b);
        }
    }
    gguf_close(g);
}

static void test_halves(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const bool nan = (h & 0x7fff) > 0x7c00;
        const uint16_t back = half_of_float(half_to_float((uint16_t)h));
        if (nan ? (back & 0x7fff) <= 0x7c00 : back != h)
            fail_msg("half %04x came back as %04x", h, back);
    }
}

/* Row r, column c of the files' weights is r + c / 64 (of k_proj: r, to 8 bits). */
static void check_rows(const struct hf_model *m, const char *name, int rows, int cols)
{
    const struct st_tensor *t = st_find(m->weights, name);
    if (!t || t->ndim != 2 || t->shape[0] != rows || t->shape[1] != cols)
        fail_msg("%s: no such weight of %d x %d", name, rows, cols);
    float *x = xmalloc((size_t)t->count * sizeof *x);
    assert_int_equal(st_read_f32(t, x, NULL), 0);
    const bool eight = strstr(name, "k_proj") != NULL;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const float want = eight ? (float)r : (float)r + (float)c / 64;
            const float room = eight ? 0.01F : 0;
            const float got = x[r * cols + c];
            if (got < want - room || got > want + room)
                fail_msg("%s[%d, %d] is %g, not %g", name, r, c, got, want);
        }
    free(x);
}

static void test_model(void **state)
{
    (void)state;
    static const char *const files[] = {FOLDER "tiny-llama.gguf",
                                        FOLDER "tiny-qwen2.gguf"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct hf_model *m;
        struct err err = ERR_INIT;
        char print[65];
        if (hf_model_open(files[i], &m, &err) < 0)
            fail_msg("%s", err.msg);
        check_rows(m, "model.layers.0.self_attn.q_proj.weight", 32, 32);
        check_rows(m, "model.layers.0.self_attn.k_proj.weight", 16, 32);
        check_rows(m, "model.layers.0.self_attn.v_proj.weight", 16, 32);
        check_rows(m, "model.layers.0.self_attn.o_proj.weight", 32, 32);
        check_rows(m, "model.layers.0.mlp.gate_proj.weight", 64, 32);
        check_rows(m, "model.layers.0.mlp.down_proj.weight", 32, 64);
        const struct st_tensor *bias =
            st_find(m->weights, "model.layers.0.self_attn.q_proj.bias");
        assert_int_equal(bias != NULL, i == 1);
        assert_string_equal(m->model_type, i ? "qwen2" : "llama");
        json_t *c = m->config;
        assert_int_equal(json_get_int(c, "hidden_size", 0), 32);
        assert_int_equal(json_get_int(c, "head_dim", 0), 8);
        assert_int_equal(json_get_int(c, "num_key_value_heads", 0), 2);
        assert_int_equal(json_get_int(c, "vocab_size", 0),
                         st_find(m->weights, "model.embed_tokens.weight")->shape[0]);
        assert_true(json_get_num(c, "rms_norm_eps", 0) == 1e-5);
        assert_true(json_get_num(c, "rope_theta", 0) == 5000);
        assert_int_equal(json_get_bool(c, "tie_word_embeddings", 0), 1);
        assert_int_equal(hf_model_fingerprint(m, print, &err), 0);
        assert_int_equal(strlen(print), 64);
        hf_model_close(m);
    }
}

/* ---- tokenizer --------------------------------------------------------------------- */

static void check_text(const struct tokenizer *t, const json_t *row, size_t line)
{
    const json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids"),
                 *places = json_object_get(row, "offsets");
    struct encoding e = {0};
    struct buf b = BUF_INIT;
    assert_int_equal(tokenizer_encode(t, json_string_value(text),
                                      json_string_length(text), NULL, 0, 0, true, &e,
                                      NULL),
                     0);
    if (e.n != json_array_size(ids))
        fail_msg("line %zu: %zu ids, not %zu", line, e.n, json_array_size(ids));
    for (size_t i = 0; i < e.n; i++)
        if (json_integer_value(json_array_get(ids, i)) != e.ids[i] ||
            json_integer_value(json_array_get(json_array_get(places, i), 0)) !=
                e.offsets[i][0] ||
            json_integer_value(json_array_get(json_array_get(places, i), 1)) !=
                e.offsets[i][1])
            fail_msg("line %zu: token %zu is %d at %d-%d", line, i, e.ids[i],
                     e.offsets[i][0], e.offsets[i][1]);
    assert_int_equal(tokenizer_decode(t, e.ids, e.n, true, &b, NULL), 0);
    assert_string_equal(buf_str(&b), json_get_str(row, "decoded", ""));
    buf_release(&b);
    encoding_release(&e);
}

static void test_tokenizer(void **state)
{
    (void)state;
    static const char *const names[] = {FOLDER "tiny-llama", FOLDER "tiny-qwen2"};
    static const size_t rows[] = {10, 7};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *file = xasprintf("%s.gguf", names[i]),
             *cases = xasprintf("%s.jsonl", names[i]);
        struct tokenizer *t;
        struct buf text = BUF_INIT;
        struct err err = ERR_INIT;
        if (hf_model_tokenizer(file, &t, &err) < 0 ||
            fs_read(cases, 1 << 20, &text, &err) < 0)
            fail_msg("%s", err.msg);
        size_t line = 0;
        for (char *s = text.data, *end; (end = strchr(s, '\n')); s = end + 1) {
            json_t *row = json_parse_line(s, (size_t)(end - s), cases, ++line, &err);
            assert_non_null(row);
            check_text(t, row, line);
            json_decref(row);
        }
        assert_int_equal(line, rows[i]);
        tokenizer_free(t);
        buf_release(&text);
        free(file);
        free(cases);
    }
}

/* ---- files made here --------------------------------------------------------------- */

static void put(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(b, (char)(v >> 8 * i));
}

static void put_string(struct buf *b, const char *s)
{
    put(b, strlen(s), 8);
    buf_str_add(b, s);
}

static void put_head(struct buf *b, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    buf_clear(b);
    buf_str_add(b, "GGUF");
    put(b, version, 4);
    put(b, tensors, 8);
    put(b, pairs, 8);
}

static void put_u32(struct buf *b, const char *key, uint32_t v)
{
    put_string(b, key);
    put(b, GGUF_U32, 4);
    put(b, v, 4);
}

static void put_tensor(struct buf *b, const char *name, uint64_t columns, uint32_t type,
                       uint64_t offset)
{
    put_string(b, name);
    put(b, 1, 4);
    put(b, columns, 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static void refused(const struct buf *b, const char *why)
{
    struct gguf *g;
    struct err err = ERR_INIT;
    assert_int_equal(gguf_open_memory(buf_str(b), b->len, &g, &err), -ERR_PARSE);
    assert_null(g);
    if (!strstr(err.msg, why))
        fail_msg("'%s' lacks '%s'", err.msg, why);
}

static void test_refusals(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_str_add(&b, "GGUX and more than 24 bytes");
    refused(&b, "not a GGUF file");
    put_head(&b, 1, 0, 0);
    refused(&b, "version 1");
    put_head(&b, 3U << 24, 0, 0);
    refused(&b, "big-endian");
    put_head(&b, 3, 0, UINT64_MAX);
    refused(&b, "truncated");
    put_head(&b, 3, 0, 2);
    put_u32(&b, "a", 1);
    put_u32(&b, "a", 2);
    refused(&b, "key 'a' is there twice");
    put_head(&b, 3, 0, 1);
    put_string(&b, "k");
    put(&b, 99, 4);
    refused(&b, "key 'k': unknown type 99");
    put_head(&b, 3, 0, 1);
    put_string(&b, "k");
    put(&b, GGUF_ARRAY, 4);
    put(&b, GGUF_F64, 4);
    put(&b, UINT64_MAX / 8 + 2, 8);
    refused(&b, "truncated");
    put_head(&b, 3, 1, 1);
    put_u32(&b, "general.alignment", 24);
    put_tensor(&b, "t", 1, 0, 0);
    refused(&b, "power of two");
    static const struct {
        uint64_t columns, offset;
        uint32_t type;
        const char *why;
    } tensors[] = {{8, 4, 0, "offset 4 is not a multiple of 32"},
                   {8, 0, 10, "type 10 is not read (F32, F16"},
                   {8, 0, 2, "rows of 8 are no whole blocks of Q4_0 (32)"},
                   {0, 0, 0, "63 bits"},
                   {UINT64_MAX, 0, 0, "63 bits"},
                   {INT64_MAX / 2, 0, 0, "63 bits"},
                   {1000, 0, 0, "truncated"},
                   {8, 1 << 20, 0, "truncated"}};
    for (size_t i = 0; i < ARRAY_LEN(tensors); i++) {
        put_head(&b, 3, 1, 0);
        put_tensor(&b, "t", tensors[i].columns, tensors[i].type, tensors[i].offset);
        for (int k = 0; k < 128; k++)
            buf_char(&b, 0);
        refused(&b, tensors[i].why);
    }
    put_head(&b, 3, 2, 0);
    put_tensor(&b, "t", 16, 0, 0);
    put_tensor(&b, "u", 8, 0, 32);
    for (int k = 0; k < 128; k++)
        buf_char(&b, 0);
    refused(&b, "tensors 't' and 'u' overlap");
    buf_release(&b);
}

/* Whatever a file ends behind, it is refused. */
static void test_truncated(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    struct gguf *g;
    assert_int_equal(fs_read(FOLDER "tiny-qwen2.gguf", 1 << 20, &text, NULL), 0);
    size_t end = 0;
    assert_int_equal(gguf_open_memory(text.data, text.len, &g, NULL), 0);
    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        const size_t last = (size_t)(t->data - g->data) + t->bytes;
        end = last > end ? last : end;
    }
    gguf_close(g);
    for (size_t n = 0; n < end; n += n < 2500 ? 1 : 97) {
        uint8_t *part = xmalloc(n + 1); /* of its own, for the address sanitizer */
        struct err err = ERR_INIT;
        memcpy(part, text.data, n);
        assert_int_equal(gguf_open_memory(part, n, &g, &err), -ERR_PARSE);
        assert_true(err.msg[0] != 0);
        free(part);
    }
    buf_release(&text);
}

/* What the metadata say and nobody honours. */
static void test_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *why; /* of equal length */
    } changes[] = {
        {"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0qwen2",
         "general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0rwkv7", "'rwkv7' is not read"},
        {"qwen2.context_length", "qwen2.context_lengtx", "'qwen2.context_lengtx'"},
        {"blk.0.ffn_up.weight", "blk.0.ffn_ux.weight", "'blk.0.ffn_ux.weight'"},
        {"token_embd.weight", "token_embx.weight", "'token_embd.weight'"},
    };
    static const size_t lengths[] = {37, 20, 19, 17};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct buf b = BUF_INIT;
        struct gguf *g;
        struct st *weights;
        struct err err = ERR_INIT;
        assert_int_equal(fs_read(FOLDER "tiny-qwen2.gguf", 1 << 20, &b, NULL), 0);
        char *hit = memmem(b.data, b.len, changes[i].from, lengths[i]);
        assert_non_null(hit);
        memcpy(hit, changes[i].to, lengths[i]);
        assert_int_equal(gguf_open_memory(b.data, b.len, &g, &err), 0);
        assert_true(gguf_model_weights(g, "t", &weights, &err) < 0);
        assert_null(weights);
        if (!strstr(err.msg, changes[i].why))
            fail_msg("'%s' lacks '%s'", err.msg, changes[i].why);
        gguf_close(g);
        buf_release(&b);
    }
}

static void put_text(struct buf *b, const char *key, const char *text)
{
    put_string(b, key);
    put(b, GGUF_STRING, 4);
    put_string(b, text);
}

static void put_texts(struct buf *b, const char *key, const char *const *texts, size_t n)
{
    put_string(b, key);
    put(b, GGUF_ARRAY, 4);
    put(b, GGUF_STRING, 4);
    put(b, n, 8);
    for (size_t i = 0; i < n; i++)
        put_string(b, texts[i]);
}

/* Special tokens by name, and chat templates: the default one, and named ones. */
static void test_text(void **state)
{
    (void)state;
    static const char *const tokens[] = {"<s>", "</s>", "a"}, *const names[] = {
                                                                  "tool_use"};
    static const char *const want[] = {
        "{\"bos_token\":\"<s>\",\"chat_template\":\"T\",\"eos_token\":\"</s>\"}",
        "{\"bos_token\":\"<s>\",\"chat_template\":[{\"name\":\"default\",\"template\":"
        "\"T\"},{\"name\":\"tool_use\",\"template\":\"U\"}],\"eos_token\":\"</s>\"}"};
    for (size_t k = 0; k < 2; k++) {
        struct buf b = BUF_INIT;
        struct gguf *g;
        struct err err = ERR_INIT;
        put_head(&b, 3, 0, k ? 7 : 5);
        put_texts(&b, "tokenizer.ggml.tokens", tokens, 3);
        put_u32(&b, "tokenizer.ggml.bos_token_id", 0);
        put_u32(&b, "tokenizer.ggml.eos_token_id", 1);
        put_u32(&b, "tokenizer.ggml.padding_token_id", 3); /* no such token */
        put_text(&b, "tokenizer.chat_template", "T");
        if (k) {
            put_texts(&b, "tokenizer.chat_templates", names, 1);
            put_text(&b, "tokenizer.chat_template.tool_use", "U");
        }
        put(&b, 0, 32);
        if (gguf_open_memory(b.data, b.len, &g, &err))
            fail_msg("%s", err.msg);
        json_t *out = json_object();
        assert_int_equal(gguf_model_text(g, out, &err), 0);
        char *text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, want[k]);
        free(text);
        json_decref(out);
        gguf_close(g);
        buf_release(&b);
    }
}

/* What a folder made of the model gets: tokens are the same, and so are the words of the
 * special ones. */
static void test_written_text(void **state)
{
    (void)state;
    char dir[] = "/tmp/runner_gguf.XXXXXX";
    assert_non_null(mkdtemp(dir));
    static const char text[] = "the text of a row";
    struct hf_model *m;
    struct tokenizer *a, *b;
    struct encoding x = {0}, y = {0};
    struct model_text before, after;
    struct err err = ERR_INIT;
    assert_int_equal(hf_model_open(FOLDER "tiny-llama.gguf", &m, &err), 0);
    if (hf_model_write_tokenizer(m, dir, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(hf_model_tokenizer(m->dir, &a, NULL), 0);
    assert_int_equal(tokenizer_load(dir, &b, NULL), 0);
    assert_int_equal(tokenizer_encode(a, text, strlen(text), NULL, 0, 0, true, &x, NULL),
                     0);
    assert_int_equal(tokenizer_encode(b, text, strlen(text), NULL, 0, 0, true, &y, NULL),
                     0);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.ids, y.ids, x.n * sizeof *x.ids);
    assert_int_equal(model_text_read(m->dir, &before, NULL), 0);
    assert_int_equal(model_text_read(dir, &after, NULL), 0);
    assert_true(json_object_size(before.tokens) > 0);
    assert_true(json_equal(before.tokens, after.tokens));
    model_text_release(&before);
    model_text_release(&after);
    encoding_release(&x);
    encoding_release(&y);
    tokenizer_free(a);
    tokenizer_free(b);
    hf_model_close(m);
    fs_remove_tree(dir, NULL);
}

/* A folder that holds one. */
static void test_folder(void **state)
{
    (void)state;
    char dir[] = "/tmp/runner_gguf.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct buf b = BUF_INIT;
    struct hf_model *m;
    struct err err = ERR_INIT;
    char *one = fs_join(dir, "a.gguf"), *two = fs_join(dir, "b.gguf");
    assert_int_equal(fs_read(FOLDER "tiny-llama.gguf", 1 << 20, &b, NULL), 0);
    assert_int_equal(fs_write_atomic(one, b.data, b.len, NULL), 0);
    assert_int_equal(hf_model_open(dir, &m, &err), 0);
    assert_string_equal(m->dir, one);
    hf_model_close(m);
    assert_int_equal(fs_write_atomic(two, b.data, b.len, NULL), 0);
    assert_int_equal(hf_model_open(dir, &m, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "2 GGUF files: name one"));
    assert_int_equal(hf_model_open(two, &m, NULL), 0);
    hf_model_close(m);
    fs_remove_tree(dir, NULL);
    buf_release(&b);
    free(one);
    free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),       cmocka_unit_test(test_packed),
        cmocka_unit_test(test_halves),       cmocka_unit_test(test_model),
        cmocka_unit_test(test_tokenizer),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_truncated),    cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_folder),
        cmocka_unit_test(test_written_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
