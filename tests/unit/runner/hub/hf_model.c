/* runner_hf_model - finding and opening Hugging Face folders, and every way it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/hub/hf_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char cache[] = "/tmp/runner_hf_model.XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(cache) ? setenv("PEFTLAB_MODELS", cache, 1) : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fs_remove_tree(cache, NULL);
}

static void put(const char *dir, const char *file, const char *text)
{
    char *d = fs_join(cache, dir), *path = fs_join(d, file);
    assert_int_equal(fs_mkdirs(d, NULL), 0);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    free(path);
    free(d);
}

static void put_weights(const char *dir, size_t count, const float *data)
{
    char *d = fs_join(cache, dir), *path = fs_join(d, "model.safetensors");
    struct st_writer *w = st_writer_new();
    st_writer_add(w, "a", DT_F32, 1, (int64_t[]){(int64_t)count}, data);
    assert_int_equal(fs_mkdirs(d, NULL), 0);
    assert_int_equal(st_writer_save(w, path, NULL), 0);
    st_writer_free(w);
    free(path);
    free(d);
}

static void fails(const char *name, enum err_code code, const char *message)
{
    struct err err = ERR_INIT;
    struct hf_model *m = NULL;
    assert_int_equal(hf_model_open(name, &m, &err), -(int)code);
    assert_null(m);
    if (!strstr(err.msg, message))
        fail_msg("'%s' lacks '%s'", err.msg, message);
}

static void test_messages(void **state)
{
    (void)state;
    fails("/nonexistent/model", ERR_NOINPUT,
          "model '/nonexistent/model': no such folder");
    fails("org/absent", ERR_NOINPUT, "pull");
    fails("", ERR_NOINPUT, "no such folder");
    fails("/etc/passwd", ERR_NOINPUT, "is a file");
    put("no-config", "x", "");
    fails("no-config", ERR_NOINPUT, "no config.json (is it a Hugging Face folder?)");
    put("bad-config", "config.json", "{\"model_type\": ");
    fails("bad-config", ERR_PARSE, "config.json");
    put("list-config", "config.json", "[1]");
    fails("list-config", ERR_PARSE, "object expected");
    put("no-type", "config.json", "{\"hidden_size\": 8}");
    fails("no-type", ERR_PARSE, "no 'model_type'");
    put("no-weights", "config.json", "{\"model_type\": \"bert\"}");
    fails("no-weights", ERR_NOINPUT, "no weights");
    put("no-weights", "pytorch_model.bin", "");
    fails("no-weights", ERR_NOINPUT, "pytorch_model.bin cannot be read");
    put("short", "config.json", "{\"model_type\": \"bert\"}");
    put("short", "model.safetensors", "\x01");
    fails("short", ERR_PARSE, "model.safetensors");
}

static void test_open(void **state)
{
    (void)state;
    const float data[] = {1, 2};
    put("tiny", "config.json", "{\"model_type\": \"bert\", \"hidden_size\": 8}");
    put_weights("tiny", 2, data);
    char *path = fs_join(cache, "tiny");
    const char *names[] = {path, "tiny", "some-organisation/tiny"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct hf_model *m;
        struct err err = ERR_INIT;
        assert_int_equal(hf_model_open(names[i], &m, &err), 0);
        assert_string_equal(m->model_type, "bert");
        assert_string_equal(m->dir, path);
        assert_non_null(st_find(m->weights, "a"));
        hf_model_close(m);
    }
    free(path);
}

/* A configuration is enough for its shape: of a folder without weights, of a name that is
 * known; to train it is not. Weights that are there are opened, and have to be whole. */
static void test_open_shape(void **state)
{
    struct err err = ERR_INIT;
    struct hf_model *m;
    const float a = 1;
    (void)state;
    put("bare", "config.json", "{\"model_type\": \"bert\"}");
    fails("bare", ERR_NOINPUT, "no weights");
    assert_int_equal(hf_model_open_shape("bare", &m, &err), 0);
    assert_string_equal(m->model_type, "bert");
    assert_null(m->weights);
    hf_model_close(m);
    put_weights("bare", 1, &a);
    assert_int_equal(hf_model_open_shape("bare", &m, &err), 0);
    assert_non_null(m->weights);
    hf_model_close(m);
    put("bare", "model.safetensors", "not one");
    assert_int_equal(hf_model_open_shape("bare", &m, &err), -ERR_PARSE);
    err_clear(&err);
    fails("bert-base-uncased", ERR_NOINPUT, "pull google-bert/bert-base-uncased --out");
    assert_int_equal(hf_model_open_shape("google-bert/bert-base-uncased", &m, &err), 0);
    assert_string_equal(m->dir, "bert-base-uncased");
    assert_int_equal(json_integer_value(json_object_get(m->config, "hidden_size")), 768);
    assert_null(m->weights);
    hf_model_close(m);
    assert_int_equal(hf_model_open_shape("bert-base-uncasd", &m, &err), -ERR_NOINPUT);
    assert_null(m);
    assert_non_null(strstr(err.msg, "did you mean 'bert-base-uncased'?"));
    err_clear(&err);
    assert_int_equal(hf_model_open_shape("nobody/knows-it", &m, &err), -ERR_NOINPUT);
    assert_non_null(strstr(err.msg, "peftlab pull"));
}

static void print_of(const char *name, char out[65])
{
    struct hf_model *m;
    assert_int_equal(hf_model_open(name, &m, NULL), 0);
    assert_int_equal(hf_model_fingerprint(m, out, NULL), 0);
    hf_model_close(m);
}

/* Large enough for sampling; a change at either end or in the header is seen. */
static void test_fingerprint(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    float *data = xcalloc(COUNT, sizeof *data);
    char first[65], again[65], other[65];
    put("big", "config.json", "{\"model_type\": \"bert\"}");
    put_weights("big", COUNT, data);
    print_of("big", first);
    print_of("big", again);
    assert_string_equal(first, again);
    assert_int_equal(strlen(first), 64);
    data[COUNT - 1] = 1;
    put_weights("big", COUNT, data);
    print_of("big", other);
    assert_string_not_equal(first, other);
    data[COUNT - 1] = 0;
    put_weights("big", COUNT, data);
    print_of("big", again);
    assert_string_equal(first, again);
    put("big", "config.json", "{\"model_type\": \"bert\", \"x\": 1}");
    print_of("big", other);
    assert_string_not_equal(first, other);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_shape),
        cmocka_unit_test(test_fingerprint),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
