/* runner_safetensors - reader and writer of safetensors, alone and sharded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/hub/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/runner_safetensors.XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fs_remove_tree(folder, NULL);
}

/* A file image: length, header, `data` bytes of zeros. Caller frees. */
static char *image(const char *header, size_t data, size_t *n)
{
    size_t h = strlen(header);
    char *p = xcalloc(1, 8 + h + data + 1);
    for (int i = 0; i < 8; i++)
        p[i] = (char)((uint64_t)h >> 8 * i);
    memcpy(p + 8, header, h);
    *n = 8 + h + data;
    return p;
}

static void refuses(const char *header, size_t data, const char *message)
{
    size_t n;
    char *p = image(header, data, &n);
    struct err err = ERR_INIT;
    struct st *s = NULL;
    assert_int_equal(st_open_memory(p, n, "x", &s, &err), -ERR_PARSE);
    assert_null(s);
    if (!strstr(err.msg, message))
        fail_msg("'%s' lacks '%s'", err.msg, message);
    free(p);
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
            "do not match its shape");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
            "truncated");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
            "hole or overlap");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
            4, "hole or overlap");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8,
            "4 bytes after the last tensor");
    refuses("{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
            "dtype 'F99' is not supported");
    refuses("{\"a\":{\"dtype\":\"\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
            "dtype '' is not supported");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
            "\"data_offsets\":[0,1]}}",
            1, "at most 8 sizes");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1,
            "at most 8 sizes");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
            "\"data_offsets\":[0,0]}}",
            0, "64 bits");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1,
            "not within the data");
    refuses("{\"a\":7}", 1, "needs 'dtype'");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
            1, "duplicate");
    refuses("[]", 4, "not a safetensors file");
    refuses("{\"a\":", 4, "header");
    struct err err = ERR_INIT;
    struct st *s;
    assert_int_equal(st_open_memory("1234", 4, "x", &s, &err), -ERR_PARSE);
    err_clear(&err);
    const char huge[] = "\xff\xff\xff\xff\xff\xff\xff\x7f{}";
    assert_int_equal(st_open_memory(huge, 10, "x", &s, &err), -ERR_PARSE);
    err_clear(&err);
    assert_int_equal(st_open_file("/nonexistent/x.safetensors", &s, &err), -ERR_NOINPUT);
}

static void test_accepts_padding_and_empty(void **state)
{
    (void)state;
    size_t n;
    struct st *s;
    struct err err = ERR_INIT;
    char *p = image("{\"__metadata__\":{\"format\":\"pt\"}}      ", 0, &n);
    assert_int_equal(st_open_memory(p, n, "x", &s, &err), 0);
    assert_int_equal(st_count(s), 0);
    assert_null(st_find(s, "a"));
    assert_null(st_at(s, 0));
    st_close(s);
    free(p);
    p = image("{\"z\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[1,1]},"
              "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}",
              1, &n);
    assert_int_equal(st_open_memory(p, n, "x", &s, &err), 0);
    assert_int_equal(st_find(s, "s")->count, 1);
    assert_int_equal(st_find(s, "s")->ndim, 0);
    assert_int_equal(st_find(s, "z")->count, 0);
    st_close(s);
    free(p);
}

static void test_conversion(void **state)
{
    (void)state;
    /* half: 1, -2, smallest subnormal, largest, infinity, -0; unaligned on purpose */
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000};
    const float want[] = {1, -2, 0x1p-24f, 65504, INFINITY, -0.0f};
    const uint16_t brain[] = {0x3f80, 0xc040, 0xff80};
    const float want_brain[] = {1, -3, -INFINITY};
    unsigned char raw[32];
    float got[6];
    memcpy(raw + 1, half, sizeof half);
    struct st_tensor t = {.name = "h", .dtype = DT_F16, .count = 6, .data = raw + 1};
    assert_int_equal(st_read_f32(&t, got, NULL), 0);
    assert_memory_equal(got, want, sizeof want);
    memcpy(raw + 1, brain, sizeof brain);
    t = (struct st_tensor){.name = "b", .dtype = DT_BF16, .count = 3, .data = raw + 1};
    assert_int_equal(st_read_f32(&t, got, NULL), 0);
    assert_memory_equal(got, want_brain, sizeof want_brain);
    const double wide[] = {0.1, -1e-300};
    memcpy(raw + 3, wide, sizeof wide);
    t = (struct st_tensor){.name = "d", .dtype = DT_F64, .count = 2, .data = raw + 3};
    assert_int_equal(st_read_f32(&t, got, NULL), 0);
    assert_true(got[0] == 0.1f && got[1] == 0);
    struct err err = ERR_INIT;
    t.dtype = DT_I64;
    assert_int_equal(st_read_f32(&t, got, &err), -ERR_PARSE);
    assert_non_null(strstr(err.msg, "'d'"));
}

/* The nearest, ties to even; by rows and whole, by one thread and by many; too large is told. */
static void test_rounded_as_read(void **state)
{
    (void)state;
    enum { ROWS = 1000, COLS = 200 };
    const struct {
        enum dtype to;
        float from, want;
    } cases[] = {
        {DT_BF16, 1 + 0x1p-8f, 1},
        {DT_BF16, 1 + 0x3p-8f, 1 + 0x4p-8f},
        {DT_BF16, -(1 + 0x1p-8f + 0x1p-20f), -(1 + 0x1p-7f)},
        {DT_BF16, 0x1p-133f, 0x1p-133f},
        {DT_F16, 1 + 0x1p-11f, 1},
        {DT_F16, 1 + 0x3p-11f, 1 + 0x4p-11f},
        {DT_F16, 0x3p-25f, 0x2p-24f},
        {DT_F16, 0x1p-25f, 0},
        {DT_F16, 65519, 65504},
        {DT_F16, INFINITY, INFINITY},
    };
    float *from = xmalloc(ROWS * COLS * sizeof *from), *got = xmalloc(ROWS * COLS * 4);
    const int64_t shape[] = {ROWS, COLS};
    char *path = fs_join(folder, "rounded.safetensors");
    struct st *s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < ROWS * COLS; k++)
            from[k] = cases[i].from;
        struct st_writer *w = st_writer_new();
        st_writer_add(w, "a", DT_F32, 2, shape, from);
        assert_int_equal(st_writer_save(w, path, NULL), 0);
        st_writer_free(w);
        assert_int_equal(st_open_file(path, &s, NULL), 0);
        st_round(s, cases[i].to);
        assert_int_equal(st_read_f32(st_find(s, "a"), got, NULL), 0);
        for (size_t k = 0; k < ROWS * COLS; k++)
            assert_memory_equal(&got[k], &cases[i].want, sizeof *got);
        memset(got, 0, COLS * sizeof *got);
        assert_int_equal(st_read_rows(s, st_find(s, "a"), ROWS - 1, 1, got, NULL), 0);
        assert_memory_equal(&got[COLS - 1], &cases[i].want, sizeof *got);
        st_round(s, DT_F32);
        assert_int_equal(st_read_f32(st_find(s, "a"), got, NULL), 0);
        assert_memory_equal(got, from, ROWS * COLS * sizeof *got);
        st_close(s);
    }
    from[ROWS * COLS - 1] = 65520;
    struct st_tensor t = {.name = "large",
                          .dtype = DT_F32,
                          .count = ROWS * COLS,
                          .data = from,
                          .rounded = DT_F16};
    struct err err = ERR_INIT;
    assert_int_equal(st_read_f32(&t, got, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.msg, "'large' holds 65520, more than F16 can"));
    t.rounded = DT_BF16;
    assert_int_equal(st_read_f32(&t, got, &err), 0);
    assert_true(got[ROWS * COLS - 1] == 65536);
    free(path);
    free(from);
    free(got);
}

static void test_round_trip(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 4, 5, 6};
    const int64_t b[] = {7, -8};
    const unsigned char c[] = {1, 2, 3};
    struct st_writer *w = st_writer_new();
    st_writer_meta(w, "format", "pt");
    st_writer_add(w, "z.c", DT_U8, 1, (int64_t[]){3}, c);
    st_writer_add(w, "b.a", DT_F32, 2, (int64_t[]){2, 3}, a);
    st_writer_add(w, "a \"quoted\"", DT_F32, 0, NULL, a + 5);
    st_writer_add(w, "x", DT_I64, 1, (int64_t[]){2}, b);
    char *path = fs_join(folder, "t.safetensors");
    struct err err = ERR_INIT;
    assert_int_equal(st_writer_save(w, path, &err), 0);
    st_writer_free(w);
    /* order and padding as the reference writer makes them */
    struct buf raw = BUF_INIT;
    assert_int_equal(fs_read(path, 4096, &raw, &err), 0);
    assert_int_equal(raw.data[0] % 8, 0);
    const char *at[] = {strstr(raw.data + 8, "\"x\""),
                        strstr(raw.data + 8, "\"a \\\"quoted\\\"\""),
                        strstr(raw.data + 8, "\"b.a\""), strstr(raw.data + 8, "\"z.c\"")};
    for (size_t i = 0; i < 4; i++)
        assert_true(at[i] && (i == 0 || at[i - 1] < at[i]));
    buf_release(&raw);
    struct st *s;
    assert_int_equal(st_open_file(path, &s, &err), 0);
    assert_int_equal(st_count(s), 4);
    assert_string_equal(st_at(s, 0)->name, "a \"quoted\"");
    const struct st_tensor *t = st_find(s, "b.a");
    assert_true(t && t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    assert_memory_equal(t->data, a, sizeof a);
    assert_memory_equal(st_find(s, "x")->data, b, sizeof b);
    assert_memory_equal(st_find(s, "z.c")->data, c, sizeof c);
    assert_null(st_find(s, "b"));
    st_close(s);
    free(path);
}

static void test_writer_errors(void **state)
{
    (void)state;
    const float a[] = {1};
    struct err err = ERR_INIT;
    struct st_writer *w = st_writer_new();
    st_writer_add(w, "a", DT_F32, 1, (int64_t[]){1}, a);
    assert_int_equal(st_writer_save(w, "/nonexistent/t.safetensors", &err), -ERR_IO);
    err_clear(&err);
    st_writer_add(w, "a", DT_F32, 1, (int64_t[]){1}, a);
    assert_int_equal(st_writer_save(w, "/nonexistent/t.safetensors", &err), -ERR_BUG);
    st_writer_free(w);
}

static void save(const char *file, const char *tensor)
{
    const float a[] = {1};
    char *path = fs_join(folder, file);
    struct st_writer *w = st_writer_new();
    st_writer_add(w, tensor, DT_F32, 1, (int64_t[]){1}, a);
    assert_int_equal(st_writer_save(w, path, NULL), 0);
    st_writer_free(w);
    free(path);
}

static int open_index(const char *text, struct st **s, struct err *err)
{
    char *path = fs_join(folder, "model.safetensors.index.json");
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    free(path);
    err_clear(err);
    return st_open_folder(folder, s, err);
}

static void test_shards(void **state)
{
    (void)state;
    struct st *s = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(st_open_folder(folder, &s, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "no weights"));
    save("one.safetensors", "a");
    save("two.safetensors", "b");
    save("three.safetensors", "a");
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"two.safetensors\","
                                "\"a\":\"one.safetensors\"}}",
                                &s, &err),
                     0);
    assert_int_equal(st_count(s), 2);
    assert_int_equal(st_file_count(s), 2);
    assert_string_equal(st_at(s, 0)->name, "a");
    st_close(s);
    static const struct {
        const char *index, *message;
        int code;
    } bad[] = {
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"four.safetensors\"}}",
         "shard 'four.safetensors' is missing", ERR_NOINPUT},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"}}",
         "tensor 'c' is not in shard 'two.safetensors'", ERR_PARSE},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"three.safetensors\"}}",
         "tensor 'a' is there twice", ERR_PARSE},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "not a file name", ERR_PARSE},
        {"{\"weight_map\":{\"a\":1}}", "not a file name", ERR_PARSE},
        {"{\"weight_map\":{}}", "no 'weight_map'", ERR_PARSE},
        {"{", "model.safetensors.index.json", ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(open_index(bad[i].index, &s, &err), -bad[i].code);
        assert_null(s);
        if (!strstr(err.msg, bad[i].message))
            fail_msg("'%s' lacks '%s'", err.msg, bad[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepts_padding_and_empty),
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_rounded_as_read),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_errors),
        cmocka_unit_test(test_shards),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
