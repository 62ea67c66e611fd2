/* cli/serve/bench/bench_texts.c - texts of a file of rows, or ids that are drawn. */
#include "cli/serve/bench/bench_target.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <stdlib.h>
#include <string.h>

enum { DRAWN = 512, FILE_MOST = 256 << 20 };

static int tokenize(struct example *e, const char *text, const struct tokenizer *t,
                    int32_t most, struct err *err)
{
    struct encoding c = {0};
    const int rc = tokenizer_encode(t, text, strlen(text), NULL, 0, most, true, &c, err);
    if (!rc) {
        *e = (struct example){.ids = c.ids, .type_ids = c.type_ids, .n = (int32_t)c.n};
        c.ids = c.type_ids = NULL;
    }
    encoding_release(&c);
    return rc;
}

static int add_row(struct bench_texts *x, const struct bench_file *b,
                   const struct tokenizer *t, int32_t most, const json_t *row,
                   size_t *cap, struct err *err)
{
    const char *text = json_get_str(row, b->text_column, NULL);
    if (!text)
        return err_set(err, ERR_PARSE, "row %zu has no text in '%s'", x->count + 1,
                       b->text_column);
    x->texts = xgrow(x->texts, cap, x->count + 1, sizeof *x->texts);
    x->examples = xrealloc(x->examples, (x->count + 1) * sizeof *x->examples);
    x->examples[x->count] = (struct example){0};
    const int rc = t ? tokenize(&x->examples[x->count], text, t, most, err) : 0;
    x->texts[x->count++] = xstrdup(text);
    return rc;
}

static int read_rows(struct bench_texts *x, const struct bench_file *b,
                     const struct tokenizer *t, int32_t most, const char *path,
                     struct err *err)
{
    struct buf all = BUF_INIT;
    size_t line = 0, cap = 0;
    int rc = fs_read(path, FILE_MOST, &all, err);
    char *rest, *text = rc ? NULL : strtok_r(all.data, "\n", &rest);
    for (; text && !rc; text = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_parse_line(text, strlen(text), path, ++line, err);
        rc = row ? add_row(x, b, t, most, row, &cap, err) : err_code(err);
        json_decref(row);
    }
    buf_release(&all);
    return rc || x->count ? rc : err_set(err, ERR_PARSE, "'%s': no rows", path);
}

/* Every adapter and rate asks the same ones. */
static void draw(struct bench_texts *x, const struct bench_file *b, int32_t vocabulary)
{
    const struct philox_key key = rng_key(0, "bench ids");
    x->count = DRAWN;
    x->examples = xcalloc(DRAWN, sizeof *x->examples);
    for (size_t i = 0; i < DRAWN; i++) {
        struct example *e = &x->examples[i];
        const uint64_t span = (uint64_t)(b->tokens[1] - b->tokens[0]) + 1;
        e->n = b->tokens[0] + (int32_t)rng_below(&key, i, 0, span);
        e->ids = xcalloc((size_t)e->n, sizeof *e->ids);
        for (int32_t k = 0; k < e->n; k++)
            e->ids[k] =
                (int32_t)rng_below(&key, i, 1 + (uint64_t)k, (uint64_t)vocabulary);
    }
}

int bench_texts_read(struct bench_texts *x, const struct bench_file *b,
                     const struct tokenizer *t, int32_t vocabulary, int32_t most_tokens,
                     struct err *err)
{
    *x = (struct bench_texts){0};
    if (!b->data) {
        draw(x, b, vocabulary);
        return 0;
    }
    char *path = fs_join(b->base_dir, b->data);
    const int rc = read_rows(x, b, t, most_tokens, path, err);
    free(path);
    return rc;
}

void bench_texts_release(struct bench_texts *x)
{
    for (size_t i = 0; i < x->count; i++) {
        if (x->texts)
            free(x->texts[i]);
        if (x->examples) {
            free(x->examples[i].ids);
            free(x->examples[i].type_ids);
        }
    }
    free(x->texts);
    free(x->examples);
    *x = (struct bench_texts){0};
}
