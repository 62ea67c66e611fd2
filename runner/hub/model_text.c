/* runner/hub/model_text.c - see model_text.h. */
#include "runner/hub/model_text.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "runner/hub/gguf_model.h"
#include <stdlib.h>

#define CONFIG_BYTES_MAX ((size_t)64 << 20)

/* An empty object where the file is not there. */
static int read_object(const char *dir, const char *name, json_t **out, struct err *err)
{
    char *path = fs_join(dir, name);
    struct buf text = BUF_INIT;
    int rc = 0;
    json_t *read = NULL;
    if (!fs_exists(path)) {
        read = json_object();
    } else if ((rc = fs_read(path, CONFIG_BYTES_MAX, &text, err)) >= 0) {
        json_error_t e;
        read = json_loadb(buf_str(&text), text.len, JSON_DECODE_INT_AS_REAL, &e);
        if (!json_is_object(read))
            rc = err_set(err, ERR_PARSE, "'%s': line %d, column %d: %s", path, e.line,
                         e.column, read ? "not an object" : e.text);
    }
    *out = rc < 0 ? json_object() : json_incref(read);
    json_decref(read);
    buf_release(&text);
    free(path);
    return rc;
}

static int read_gguf(const char *path, json_t **out, struct err *err)
{
    struct gguf *g;
    int rc = gguf_open(path, &g, err);
    *out = json_object();
    if (rc < 0)
        return rc;
    rc = gguf_model_text(g, *out, err);
    gguf_close(g);
    return rc < 0 ? err_context(err, "GGUF file '%s': ", path) : 0;
}

static void add_token(json_t *tokens, const char *name, const json_t *v)
{
    if (json_is_object(v))
        v = json_object_get(v, "content");
    if (json_is_string(v) && !json_object_get(tokens, name))
        json_object_set(tokens, name, (json_t *)v);
}

void model_text_add_tokens(json_t *tokens, const json_t *config)
{
    const char *key;
    json_t *v, *extra = json_object_get(config, "extra_special_tokens");
    json_object_foreach((json_t *)config, key, v)
    {
        if (str_has_suffix(key, "_token"))
            add_token(tokens, key, v);
    }
    json_object_foreach(extra, key, v)
    {
        add_token(tokens, key, v);
    }
}

int model_text_read(const char *model, struct model_text *out, struct err *err)
{
    json_t *map = NULL;
    *out = (struct model_text){NULL, json_object()};
    if (!model) {
        out->config = json_object();
        return 0;
    }
    int rc = gguf_is_file(model)
                 ? read_gguf(model, &out->config, err)
                 : read_object(model, "tokenizer_config.json", &out->config, err);
    if (rc >= 0 && fs_is_dir(model))
        rc = read_object(model, "special_tokens_map.json", &map, err);
    model_text_add_tokens(out->tokens, out->config);
    model_text_add_tokens(out->tokens, map);
    json_decref(map);
    return rc;
}

void model_text_release(struct model_text *t)
{
    json_decref(t->config);
    json_decref(t->tokens);
    *t = (struct model_text){NULL, NULL};
}
