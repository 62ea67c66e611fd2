/* tests/unit/kernels/nf4.c - 4-bit quantisation against bytes and numbers of
 * bitsandbytes (tests/golden/nf4/README). An argument names another folder of such
 * files. */
#include "kernels/nf4.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SPEC(out, in, kind, size, twice)                                                 \
    (struct weight_spec)                                                                 \
    {                                                                                    \
        .rows = (out), .cols = (in), .quant = (kind), .block = (size),                   \
        .double_quant = (twice)                                                          \
    }

static const char *folder = "tests/golden/nf4";

/* Just enough of safetensors: a length, a JSON header, the bytes. */
struct golden {
    struct buf file;
    json_t *header;
    const char *base;
};

static void golden_open(struct golden *g, const char *path)
{
    struct err err = ERR_INIT;
    uint64_t length;
    buf_init(&g->file, 1 << 20);
    if (fs_read(path, 1 << 20, &g->file, &err))
        fail_msg("%s", err.msg);
    assert_true(g->file.len > 8);
    memcpy(&length, g->file.data, 8);
    assert_true(length < g->file.len - 8);
    g->header = json_parse(g->file.data + 8, length, path, &err);
    if (!g->header)
        fail_msg("%s", err.msg);
    g->base = g->file.data + 8 + length;
}

static void golden_close(struct golden *g)
{
    json_decref(g->header);
    buf_release(&g->file);
}

/* A copy (the file aligns nothing), to be freed; NULL when the file has no such
 * tensor. */
static void *golden_tensor(const struct golden *g, const char *name, size_t *bytes)
{
    const json_t *offsets =
        json_object_get(json_object_get(g->header, name), "data_offsets");
    if (!offsets)
        return NULL;
    size_t begin = json_integer_value(json_array_get(offsets, 0));
    *bytes = json_integer_value(json_array_get(offsets, 1)) - begin;
    assert_true(g->base + begin + *bytes <= g->file.data + g->file.len);
    void *copy = xmalloc(*bytes + 1);
    memcpy(copy, g->base + begin, *bytes);
    return copy;
}

static void golden_shape(const struct golden *g, const char *name, int *rows, int *cols)
{
    const json_t *shape = json_object_get(json_object_get(g->header, name), "shape");
    *rows = (int)json_integer_value(json_array_get(shape, 0));
    *cols = (int)json_integer_value(json_array_get(shape, 1));
}

/* Tensor `name` of the file has these bytes. */
static void same_bytes(const struct golden *g, const char *path, const char *name,
                       const void *ours, size_t bytes)
{
    size_t want_bytes;
    unsigned char *want = golden_tensor(g, name, &want_bytes);
    if (!want)
        fail_msg("%s: no tensor '%s'", path, name);
    if (want_bytes != bytes)
        fail_msg("%s: '%s' has %zu bytes, ours %zu", path, name, want_bytes, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (want[i] != ((const unsigned char *)ours)[i])
            fail_msg("%s: '%s' differs at byte %zu: %02x, ours %02x", path, name, i,
                     want[i], ((const unsigned char *)ours)[i]);
    free(want);
}

/* Equal as numbers: -0 is 0. */
static void same_values(const struct golden *g, const char *path, const char *name,
                        const float *ours, size_t n)
{
    size_t bytes;
    float *want = golden_tensor(g, name, &bytes);
    if (!want || bytes != n * sizeof(float))
        fail_msg("%s: no tensor '%s' of %zu values", path, name, n);
    for (size_t i = 0; i < n; i++)
        if (want[i] != ours[i])
            fail_msg("%s: '%s' differs at %zu: %a, ours %a", path, name, i, want[i],
                     ours[i]);
    free(want);
}

/* The JSON text that bitsandbytes keeps beside a weight. New reference. */
static json_t *quant_state(const struct golden *g, enum quant_kind *kind)
{
    size_t bytes;
    *kind = QUANT_NF4;
    char *text = golden_tensor(g, "weight.quant_state.bitsandbytes__nf4", &bytes);
    if (!text) {
        *kind = QUANT_FP4;
        text = golden_tensor(g, "weight.quant_state.bitsandbytes__fp4", &bytes);
    }
    assert_non_null(text);
    json_t *state = json_parse(text, bytes, "quant_state", NULL);
    assert_non_null(state);
    free(text);
    return state;
}

/* Dequantising in pieces of odd sizes gives the same as all at once. */
static void pieces_agree(const void *q, const struct weight_spec *spec,
                         const float *whole)
{
    const size_t n = (size_t)spec->rows * spec->cols;
    float piece[61];
    for (size_t begin = 0; begin < n; begin += 61) {
        size_t count = n - begin < 61 ? n - begin : 61;
        q4_dequantize(q, spec, begin, count, piece);
        assert_memory_equal(piece, whole + begin, count * sizeof(float));
    }
}

static void check_file(const char *path)
{
    struct golden g;
    enum quant_kind kind;
    size_t bytes;
    golden_open(&g, path);
    json_t *state = quant_state(&g, &kind);
    float *source = golden_tensor(&g, "source", &bytes);
    size_t n = bytes / sizeof(float);
    int double_quant = json_get_int(state, "nested_blocksize", 0) == 256;
    struct weight_spec spec = {.quant = kind,
                               .block = json_get_int(state, "blocksize", 0),
                               .double_quant = double_quant};
    golden_shape(&g, "source", &spec.rows, &spec.cols);

    assert_int_equal(q4_check(source, &spec, NULL), 0);
    struct q4_layout l = q4_layout(&spec);
    char *q = mem_try_aligned(l.bytes);
    q4_quantize(source, &spec, q);
    same_bytes(&g, path, "weight", q + l.codes, (n + 1) / 2);
    same_bytes(&g, path, "weight.absmax", q + l.absmax,
               l.blocks * (double_quant ? 1 : sizeof(float)));
    if (double_quant) {
        same_bytes(&g, path, "weight.nested_absmax", q + l.absmax2,
                   l.groups * sizeof(float));
        float offset = *(float *)(q + l.offset);
        assert_true(offset == json_get_num(state, "nested_offset", NAN));
    }
    float *plain = xcalloc(n, sizeof *plain), *absmax = xcalloc(l.blocks, sizeof *absmax);
    q4_dequantize(q, &spec, 0, n, plain);
    same_values(&g, path, "dequantized", plain, n);
    q4_absmax(q, &spec, absmax);
    same_values(&g, path, "absmax_float", absmax, l.blocks);
    pieces_agree(q, &spec, plain);
    q4_round_trip(source, &spec, plain);
    same_values(&g, path, "dequantized", plain, n);

    free(plain), free(absmax), free(source);
    mem_free_aligned(q);
    json_decref(state);
    golden_close(&g);
}

static void files(void **state)
{
    (void)state;
    char *pattern = xasprintf("%s/*-b*-*.safetensors", folder);
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 10);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_file(found.gl_pathv[i]);
    globfree(&found);
    free(pattern);
}

static void tables(void **state)
{
    (void)state;
    struct golden g;
    char *path = fs_join(folder, "tables.safetensors");
    golden_open(&g, path);
    same_bytes(&g, path, "nf4", nf4_table, sizeof nf4_table);
    same_bytes(&g, path, "fp4", fp4_table, sizeof fp4_table);
    same_bytes(&g, path, "dynamic_signed", dynamic_map_signed(), 256 * sizeof(float));
    golden_close(&g);
    free(path);
}

/* One element per block other than zero, so that the block maxima are given. */
static void mean_in_torch_order(void **state)
{
    (void)state;
    const char *path = "tests/golden/nf4/mean-165.safetensors";
    enum { BLOCKS = 165, N = BLOCKS * 64 };
    struct golden g;
    size_t bytes;
    golden_open(&g, path);
    float *absmax = golden_tensor(&g, "absmax", &bytes);
    assert_int_equal(bytes, BLOCKS * sizeof(float));
    float *source = xcalloc(N, sizeof *source);
    for (int b = 0; b < BLOCKS; b++)
        source[b * 64 + b % 64] = b % 2 ? absmax[b] : -absmax[b];
    const struct weight_spec spec = SPEC(BLOCKS, 64, QUANT_NF4, 64, 1);
    struct q4_layout l = q4_layout(&spec);
    char *q = mem_try_aligned(l.bytes);
    q4_quantize(source, &spec, q);
    same_bytes(&g, path, "offset", q + l.offset, sizeof(float));
    same_bytes(&g, path, "codes", q + l.absmax, BLOCKS);
    same_bytes(&g, path, "absmax2", q + l.absmax2, sizeof(float));
    q4_absmax(q, &spec, absmax);
    same_values(&g, path, "absmax_float", absmax, BLOCKS);
    free(absmax), free(source);
    mem_free_aligned(q);
    golden_close(&g);
}

/* 4 bits + 8/64 + 32/(64 * 256), beyond alignment. */
static void layout_has_the_bytes(void **state)
{
    (void)state;
    struct q4_layout l = q4_layout(&SPEC(4096, 4096, QUANT_NF4, 64, 1));
    double bits = 8.0 * l.bytes / l.n;
    assert_true(bits >= 4.126953125 && bits < 4.1271);
    l = q4_layout(&SPEC(4096, 4096, QUANT_NF4, 64, 0));
    assert_int_equal(l.bytes, 4096 * 4096 / 2 + 4096 * 64 * 4);
    l = q4_layout(&SPEC(1, 1, QUANT_NF4, 64, 1));
    assert_int_equal(l.blocks, 1);
    assert_int_equal(l.groups, 1);
    assert_true(l.absmax % 64 == 0 && l.absmax2 % 64 == 0 && l.offset % 64 == 0);
}

/* Below 1e-38 a block is scaled as one of 1e-38: bitsandbytes gives zeros back. The
 * maximum itself is kept, but in a short block. */
static void denormal_block(void **state)
{
    (void)state;
    float x[80] = {0x1p-140f, -0x1p-141f}, y[80];
    const struct weight_spec spec = SPEC(1, 80, QUANT_NF4, 64, 0);
    struct q4_layout l = q4_layout(&spec);
    char *q = mem_try_aligned(l.bytes);
    q4_quantize(x, &spec, q);
    q4_dequantize(q, &spec, 0, 80, y);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 0 && y[79] == 0);
    const float *absmax = (const float *)(q + l.absmax);
    assert_true(absmax[0] == 0x1p-140f && absmax[1] == 1e-38f);
    mem_free_aligned(q);
}

/* Where a code begins, found by bisection on bitsandbytes 0.50.2 (CPU): the nearest entry
 * is another on one side of most of them, and 124 to 130 are never given. */
static void codes_of_the_grid(void **state)
{
    (void)state;
    static const struct {
        int below, code;
        float from;
    } cuts[] = {
        {0, 1, -0x1.f8cdf8p-1f},    {37, 38, -0x1.dcc9dcp-2f},  {71, 72, -0x1.3d6148p-4f},
        {122, 123, -0x1.004p-15f},  {123, 131, -0x1p-25f},      {131, 132, 0x1.ffp-16f},
        {132, 133, 0x1.ff8p-15f},   {150, 151, 0x1.680102p-8f}, {181, 182, 0x1.31e13p-4f},
        {245, 246, 0x1.bf31bep-1f}, {254, 255, 0x1.fe31fep-1f},
    };
    const float *map = dynamic_map_signed();
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        assert_int_equal(dynamic_on_grid(map, cuts[i].from), cuts[i].code);
        assert_int_equal(dynamic_on_grid(map, nextafterf(cuts[i].from, -1)),
                         cuts[i].below);
    }
    assert_int_equal(dynamic_on_grid(map, -INFINITY), 0);
    assert_int_equal(dynamic_on_grid(map, INFINITY), 255);
    assert_int_equal(dynamic_on_grid(map, NAN), 0);
}

/* Two rows of 96 are three blocks with maxima 1, 2, 4. In the second row the kernel reads
 * the second maximum up to column 63, then the third. */
static void irregular_width(void **state)
{
    (void)state;
    enum { COLS = 96, N = 2 * COLS };
    float x[N] = {0}, y[N];
    x[0] = x[70] = x[96] = x[191] = 1;
    x[100] = 2;
    x[130] = 4;
    assert_true(q4_is_irregular(COLS, 64) && q4_is_irregular(32, 64));
    assert_true(q4_is_irregular(64, 128) && q4_is_irregular(272, 64));
    assert_false(q4_is_irregular(128, 64) || q4_is_irregular(384, 64));
    assert_false(q4_is_irregular(132, 64) || q4_is_irregular(37, 64));
    assert_false(q4_is_irregular(272, 2048)); /* not that kernel's */
    q4_round_trip(x, &SPEC(2, COLS, QUANT_NF4, 64, 0), y);
    assert_true(y[0] == 1);                   /* right: block 0 */
    assert_true(y[100] == 2);                 /* right: block 1 */
    assert_true(y[130] == 2);                 /* its block is 2, the kernel reads 1 */
    assert_true(y[191] == 4 * nf4_table[10]); /* right: block 2; 1/4 is nearest to .246 */
}

static void refusals(void **state)
{
    (void)state;
    float x[64] = {0};
    struct weight_spec spec = SPEC(1, 64, QUANT_NF4, 64, 0);
    assert_int_equal(q4_check(x, &spec, NULL), 0);
    const int blocks[] = {0, -64, 16, 48, 8192};
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        spec.block = blocks[i];
        assert_int_equal(q4_check(x, &spec, NULL), -ERR_CONFIG);
    }
    spec.block = 64;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        x[37] = bad[i];
        assert_int_equal(q4_check(x, &spec, &err), -ERR_PARSE);
        assert_non_null(strstr(err.msg, "element 37"));
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(tables),
        cmocka_unit_test(mean_in_torch_order),
        cmocka_unit_test(layout_has_the_bytes),
        cmocka_unit_test(denormal_block),
        cmocka_unit_test(codes_of_the_grid),
        cmocka_unit_test(refusals),
        cmocka_unit_test(irregular_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
