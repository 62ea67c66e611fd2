/* tests/unit/runner/hub/gguf_families.c - GGUF files of single families, made here: whose
 * rows stand where, configuration, and what rotary embeddings are divided by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/gguf_model.h"
#include "runner/hub/gguf/write.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

/* Whole numbers of a file, and a tensor of given values. */
struct file {
    const char *arch;
    struct {
        const char *key;
        uint32_t value;
    } keys[12];
    struct {
        const char *key;
        float value;
    } numbers[3];
    struct {
        const char *name;
        int64_t rows, cols; /* rows 0: a row; row r, column c is r + c / 64 */
        const float *values;
    } tensors[6];
};

static int fill(void *ctx, const struct gguf_new_tensor *t, float *out, struct err *err)
{
    const float *values = t->source;
    const int64_t rows = t->ndim == 2 ? t->shape[0] : 1, cols = t->shape[t->ndim - 1];
    (void)ctx, (void)err;
    for (int64_t i = 0; i < rows * cols; i++)
        out[i] = values ? values[i] : (float)(i / cols) + (float)(i % cols) / 64;
    return 0;
}

static char *write_file(const struct file *f)
{
    struct gguf_writer *w = gguf_writer_new();
    struct err err = ERR_INIT;
    char *path = fs_join(dir, "t.gguf"), key[128];
    int64_t bytes;
    gguf_put_string(w, "general.architecture", f->arch, strlen(f->arch));
    for (size_t i = 0; i < ARRAY_LEN(f->keys) && f->keys[i].key; i++) {
        snprintf(key, sizeof key, "%s.%s", f->arch, f->keys[i].key);
        gguf_put_u32(w, key, f->keys[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(f->numbers) && f->numbers[i].key; i++) {
        snprintf(key, sizeof key, "%s.%s", f->arch, f->numbers[i].key);
        gguf_put_f32(w, key, f->numbers[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(f->tensors) && f->tensors[i].name; i++) {
        struct gguf_new_tensor t = {.name = xstrdup(f->tensors[i].name),
                                    .type = block_type_named("F32"),
                                    .ndim = f->tensors[i].rows ? 2 : 1,
                                    .source = f->tensors[i].values};
        t.shape[0] = f->tensors[i].rows ? f->tensors[i].rows : f->tensors[i].cols;
        t.shape[1] = f->tensors[i].cols;
        gguf_writer_add(w, &t);
    }
    if (gguf_writer_save(w, path, fill, NULL, &bytes, &err))
        fail_msg("%s", err.msg);
    gguf_writer_free(w);
    return path;
}

/* Configuration and weights; the caller's. */
static json_t *read_file(const struct file *f, struct st **weights)
{
    struct gguf *g;
    struct err err = ERR_INIT;
    json_t *config;
    char *path = write_file(f);
    if (gguf_open(path, &g, &err) || gguf_model_config(g, &config, &err) ||
        gguf_model_weights(g, path, weights, &err))
        fail_msg("%s", err.msg);
    gguf_close(g);
    free(path);
    return config;
}

static void refused(const struct file *f, const char *part)
{
    struct gguf *g;
    struct err err = ERR_INIT;
    json_t *config;
    char *path = write_file(f);
    assert_int_equal(gguf_open(path, &g, &err), 0);
    assert_true(gguf_model_config(g, &config, &err) < 0);
    if (!strstr(err.msg, part))
        fail_msg("'%s' lacks '%s'", err.msg, part);
    gguf_close(g);
    free(path);
}

#define SIZES                                                                            \
    {"block_count", 1}, {"context_length", 256}, {"embedding_length", 32},               \
        {"feed_forward_length", 64},                                                     \
    {                                                                                    \
        "attention.head_count", 2                                                        \
    }
#define RMS                                                                              \
    {                                                                                    \
        "attention.layer_norm_rms_epsilon", 1e-5F                                        \
    }
#define WORDS                                                                            \
    {                                                                                    \
        "token_embd.weight", 6, 32, NULL                                                 \
    }

/* GPT-2's Conv1D: out x in in the file, in x out in a folder. */
static void test_gpt2(void **state)
{
    (void)state;
    static const struct file f = {"gpt2",
                                  {SIZES},
                                  {{"attention.layer_norm_epsilon", 1e-5F}},
                                  {WORDS,
                                   {"blk.0.attn_qkv.weight", 96, 32, NULL},
                                   {"output_norm.bias", 0, 32, NULL}}};
    struct st *weights;
    json_t *c = read_file(&f, &weights);
    const struct st_tensor *t = st_find(weights, "transformer.h.0.attn.c_attn.weight");
    float values[32 * 96];
    assert_non_null(t);
    assert_int_equal(t->shape[0], 32);
    assert_int_equal(t->shape[1], 96);
    assert_int_equal(st_read_f32(t, values, NULL), 0);
    for (int in = 0; in < 32; in++)
        for (int out = 0; out < 96; out++)
            assert_true(values[in * 96 + out] == (float)out + (float)in / 64);
    assert_non_null(st_find(weights, "transformer.ln_f.bias"));
    assert_non_null(st_find(weights, "transformer.wte.weight"));
    assert_int_equal(json_get_int(c, "n_embd", 0), 32);
    assert_int_equal(json_get_int(c, "n_positions", 0), 256);
    assert_int_equal(json_get_int(c, "n_inner", 0), 64);
    assert_int_equal(json_get_bool(c, "tie_word_embeddings", 0), 1);
    assert_null(json_object_get(c, "rope_theta"));
    st_close(weights);
    json_decref(c);
}

static void test_smollm3(void **state)
{
    (void)state;
    static const struct file f = {"smollm3",
                                  {SIZES, {"attention.head_count_kv", 1}},
                                  {RMS},
                                  {WORDS, {"blk.0.attn_q.weight", 32, 32, NULL}}};
    struct st *weights;
    json_t *c = read_file(&f, &weights);
    float values[32 * 32];
    assert_int_equal(
        st_read_f32(st_find(weights, "model.layers.0.self_attn.q_proj.weight"), values,
                    NULL),
        0);
    for (int row = 0; row < 32; row++) /* halves of a head of 16 rows, pairs there */
        assert_true(values[row * 32] ==
                    (float)(row / 16 * 16 + row % 8 * 2 + row % 16 / 8));
    assert_string_equal(json_get_str(c, "model_type", ""), "smollm3");
    st_close(weights);
    json_decref(c);
}

static const float grown[] = {1, 1, 1.5F, 2, 3, 4}, half[] = {1, 1.25F, 2},
                   usual[8] = {1, 1, 1, 1, 1, 1, 1, 1};

static double divisor(const json_t *scaling, const char *key, size_t i)
{
    return json_number_value(json_array_get(json_object_get(scaling, key), i));
}

/* A part of each head is rotated, by divisors of two tables. */
static void test_phi3(void **state)
{
    (void)state;
    static const struct file f = {"phi3",
                                  {SIZES,
                                   {"attention.head_count_kv", 2},
                                   {"rope.dimension_count", 12},
                                   {"rope.scaling.original_context_length", 64},
                                   {"attention.sliding_window", 0}},
                                  {RMS, {"rope.scaling.attn_factor", 1.25F}},
                                  {WORDS,
                                   {"blk.0.ffn_up.weight", 128, 32, NULL},
                                   {"rope_factors_short.weight", 0, 6, usual},
                                   {"rope_factors_long.weight", 0, 6, grown}}};
    struct st *weights;
    json_t *c = read_file(&f, &weights), *s = json_object_get(c, "rope_scaling");
    assert_int_equal(json_get_int(c, "head_dim", 0), 16);
    assert_true(json_get_num(c, "partial_rotary_factor", 0) == 0.75);
    assert_true(json_is_null(json_object_get(c, "sliding_window")));
    assert_int_equal(json_get_int(c, "original_max_position_embeddings", 0), 64);
    assert_string_equal(json_get_str(s, "rope_type", ""), "longrope");
    assert_true(json_get_num(s, "attention_factor", 0) == 1.25);
    assert_true(divisor(s, "short_factor", 5) == 1 && divisor(s, "long_factor", 5) == 4);
    assert_non_null(st_find(weights, "model.layers.0.mlp.gate_up_proj.weight"));
    assert_int_equal(st_count(weights), 2);
    st_close(weights);
    json_decref(c);

    struct file alone = f;
    alone.tensors[3].name = NULL;
    refused(&alone, "belong together");
    struct file few = f;
    few.tensors[3].cols = 3;
    refused(&few, "rope_factors_long.weight': 6 numbers of F32 above 0 expected");
}

/* What Llama 3 divides by is its scaling again; anything else is what it is. */
static void test_llama3(void **state)
{
    (void)state;
    float divisors[8];
    for (int i = 0; i < 8; i++) {
        const double wave = 2 * M_PI * pow(500000, i / 8.0);
        const double t = (8192 / wave - 1) / 3;
        divisors[i] = (float)(wave < 2048   ? 1
                              : wave > 8192 ? 32
                                            : 1 / ((1 - t) / 32 + t));
    }
    struct file f = {"llama",
                     {SIZES},
                     {RMS, {"rope.freq_base", 500000}},
                     {WORDS, {"rope_freqs.weight", 0, 8, divisors}}};
    struct st *weights;
    json_t *c = read_file(&f, &weights), *s = json_object_get(c, "rope_scaling");
    assert_string_equal(json_get_str(s, "rope_type", ""), "llama3");
    assert_true(json_get_num(s, "factor", 0) == 32);
    assert_int_equal(json_get_int(s, "original_max_position_embeddings", 0), 8192);
    st_close(weights);
    json_decref(c);

    divisors[7] = 31;
    c = read_file(&f, &weights);
    s = json_object_get(c, "rope_scaling");
    assert_string_equal(json_get_str(s, "rope_type", ""), "longrope");
    assert_true(divisor(s, "short_factor", 7) == 31 &&
                divisor(s, "long_factor", 7) == 31);
    assert_true(json_get_num(s, "attention_factor", 0) == 1);
    st_close(weights);
    json_decref(c);

    divisors[0] = 0;
    refused(&f, "rope_freqs.weight': 8 numbers of F32 above 0 expected");
    f.tensors[1].values = half;
    f.tensors[1].cols = 3;
    refused(&f, "rope_freqs.weight': 8 numbers");
}

/* Norms have 1 added there; what llama.cpp knows by the number of layers is a key. */
static void test_gemma(void **state)
{
    (void)state;
    struct file f = {"gemma3",
                     {SIZES,
                      {"attention.head_count_kv", 1},
                      {"attention.key_length", 24},
                      {"attention.value_length", 24},
                      {"attention.sliding_window", 8}},
                     {RMS, {"rope.freq_base", 1e6F}},
                     {WORDS,
                      {"blk.0.ffn_norm.weight", 0, 3, half},
                      {"blk.0.attn_q.weight", 48, 32, NULL},
                      {"blk.0.post_ffw_norm.weight", 0, 3, grown}}};
    struct st *weights;
    json_t *c = read_file(&f, &weights);
    float values[48 * 32];
    const struct st_tensor *t =
        st_find(weights, "model.layers.0.pre_feedforward_layernorm.weight");
    assert_int_equal(st_read_f32(t, values, NULL), 0);
    assert_true(values[0] == 0 && values[1] == 0.25F && values[2] == 1);
    t = st_find(weights, "model.layers.0.self_attn.q_proj.weight");
    assert_int_equal(st_read_f32(t, values, NULL), 0);
    assert_true(values[32] == 1 && values[47 * 32] == 47); /* rows in order */
    assert_non_null(st_find(weights, "model.layers.0.post_feedforward_layernorm.weight"));
    assert_string_equal(json_get_str(c, "model_type", ""), "gemma3_text");
    assert_string_equal(json_get_str(c, "hidden_activation", ""), "gelu_pytorch_tanh");
    assert_int_equal(json_get_int(c, "query_pre_attn_scalar", 0), 24);
    assert_int_equal(json_get_int(c, "sliding_window", 0), 8);
    assert_null(json_object_get(c, "rope_local_base_freq"));
    st_close(weights);
    json_decref(c);

    f.keys[0].value = 62; /* the 27B */
    f.numbers[2].key = "rope.freq_base_swa";
    f.numbers[2].value = 5000;
    c = read_file(&f, &weights);
    assert_int_equal(json_get_int(c, "query_pre_attn_scalar", 0), 16);
    assert_true(json_get_num(c, "rope_local_base_freq", 0) == 5000);
    st_close(weights);
    json_decref(c);
    f.keys[8].key = NULL; /* no window */
    refused(&f, "gemma3.attention.sliding_window");
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/peftlab-gguf-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),  cmocka_unit_test(test_smollm3),
        cmocka_unit_test(test_phi3),  cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_gemma),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
