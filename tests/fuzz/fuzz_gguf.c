/* Fuzzes GGUF files: whatever opens lies within the input; what it gives as a model is a
 * configuration and weights that can be read, and a tokenizer that can be used; an adapter
 * becomes a folder. */
#include "lib/fs.h"
#include "runner/convert/convert.h"
#include "runner/hub/gguf_model.h"
#include "runner/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int rc, const struct err *err, const void *out)
{
    if (rc < 0 ? out || rc != -(int)err->code || !err->msg[0] : !out)
        abort();
}

static void check_tensors(const struct gguf *g, const uint8_t *data, size_t size)
{
    float out[BLOCK_ELEMENTS_MAX];
    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (t->data < data || t->bytes > size || t->data > data + size - t->bytes ||
            gguf_find_tensor(g, t->name) != t)
            abort();
        for (int64_t b = 0; b < t->count / t->type->elements; b++)
            t->type->unpack(t->data + b * t->type->bytes, out);
    }
}

static void use_tokenizer(const struct gguf *g)
{
    struct err err = ERR_INIT;
    json_t *tree;
    struct tokenizer *t;
    struct encoding e = {0};
    int rc = gguf_model_tokenizer(g, &tree, &err);
    if (rc >= 0 && !tree)
        return; /* a file without one */
    check(rc, &err, tree);
    if (rc < 0)
        return;
    rc = tokenizer_of_tree(tree, "fuzz", &t, &err);
    check(rc, &err, t);
    json_decref(tree);
    if (rc < 0)
        return;
    const char text[] = "the abc 11\n<x>";
    if (tokenizer_encode(t, text, strlen(text), text, 3, 0, true, &e, &err) < 0)
        abort();
    encoding_release(&e);
    tokenizer_free(t);
}

/* Special tokens and the chat template. */
static void use_text(const struct gguf *g)
{
    struct err err = ERR_INIT;
    json_t *text = json_object();
    if (gguf_model_text(g, text, &err) < 0 && !err.msg[0])
        abort();
    json_decref(text);
}

static void use_weights(struct gguf *g)
{
    struct err err = ERR_INIT;
    json_t *config;
    struct st *s;
    int rc = gguf_model_config(g, &config, &err);
    check(rc, &err, config);
    json_decref(config);
    err = (struct err)ERR_INIT;
    rc = gguf_model_weights(g, "fuzz", &s, &err);
    check(rc, &err, s);
    for (size_t i = 0; rc >= 0 && i < st_count(s); i++) {
        const struct st_tensor *t = st_at(s, i);
        float *x = malloc((size_t)t->count * sizeof *x + 1);
        if (!x || st_read_f32(t, x, &err) < 0)
            abort();
        free(x);
    }
    st_close(s);
}

/* An adapter for a small model: a folder comes of it, or an error and nothing. */
static void use_adapter(const uint8_t *data, size_t size)
{
    static const char base[] = "tests/golden/models/llama";
    struct err err = ERR_INIT;
    struct convert_report report;
    char file[48], out[64];
    snprintf(file, sizeof file, "/tmp/peftlab-fuzz-gguf-%d", (int)getpid());
    snprintf(out, sizeof out, "%s.out", file);
    if (fs_write_atomic(file, data, size, NULL) < 0)
        abort();
    const int rc = convert_run("peft", file, base, NULL, out, false, &report, &err);
    if (rc < 0 ? fs_exists(out) || !err.msg[0] || err.code == ERR_BUG : !fs_is_dir(out))
        abort();
    fs_remove_tree(file, NULL);
    fs_remove_tree(out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct gguf *g;
    int rc = gguf_open_memory(data, size, &g, &err);
    check(rc, &err, g);
    if (rc < 0)
        return 0;
    check_tensors(g, data, size);
    use_tokenizer(g);
    use_text(g);
    json_t *type = gguf_string(g, "general.type");
    if (type && !strcmp(json_string_value(type), "adapter"))
        use_adapter(data, size);
    json_decref(type);
    use_weights(g);
    gguf_close(g);
    return 0;
}
