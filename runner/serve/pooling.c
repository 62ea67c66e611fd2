/* runner/serve/pooling.c - see pooling.h. */
#include "runner/serve/pooling.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *key, *word; /* of 1_Pooling/config.json, older and newer */
    enum pooling kind;
} kinds[] = {
    {"pooling_mode_mean_tokens", "mean", POOL_MEAN},
    {"pooling_mode_cls_token", "cls", POOL_FIRST},
    {"pooling_mode_lasttoken", "lasttoken", POOL_LAST},
    {"pooling_mode_max_tokens", "max", POOL_MAX},
};

static enum pooling kind_of(const char *key, const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kinds[i].key, key) || str_eq(kinds[i].word, word))
            return kinds[i].kind;
    return POOL_NONE;
}

/* Several at the same time (their vectors one behind the other) are not known here. */
static enum pooling read_kind(json_t *config)
{
    const char *word = json_get_str(config, "pooling_mode", NULL), *key;
    enum pooling found = word ? kind_of(NULL, word) : POOL_NONE;
    int count = 0;
    json_t *v;
    json_object_foreach(config, key, v)
    {
        if (!str_has_prefix(key, "pooling_mode_") || !json_is_true(v))
            continue;
        found = kind_of(key, NULL);
        count++;
    }
    return count > 1 ? POOL_NONE : found;
}

static json_t *read_file(const char *dir, const char *name, struct err *err)
{
    char *path = fs_join(dir, name);
    json_t *v = fs_exists(path) ? json_read_file(path, err) : json_object();
    free(path);
    return v;
}

int pooling_of_model(enum pooling *out, const char *dir, struct err *err)
{
    json_t *config = read_file(dir, "1_Pooling/config.json", err);
    if (!config)
        return err_code(err);
    *out = json_object_size(config) ? read_kind(config) : POOL_MEAN;
    json_decref(config);
    return *out ? 0
                : err_set(err, ERR_CONFIG,
                          "'%s/1_Pooling/config.json' asks for none of: mean_tokens, "
                          "cls_token, lasttoken, max_tokens",
                          dir);
}

int32_t pooling_most_tokens(const char *dir)
{
    json_t *config = read_file(dir, "sentence_bert_config.json", NULL);
    const int64_t n = json_get_int(config, "max_seq_length", 0);
    json_decref(config);
    return n > 0 && n < INT32_MAX ? (int32_t)n : 0;
}

static float pool_column(enum pooling kind, const float *column, int32_t rows,
                         int32_t cols)
{
    double sum = 0;
    float most = -INFINITY;
    for (int32_t r = 0; r < rows; r++) {
        const float x = column[(size_t)r * (size_t)cols];
        sum += (double)x;
        most = x > most ? x : most;
    }
    return kind == POOL_MAX ? most : (float)(sum / rows);
}

void pooling_run(enum pooling kind, const float *states, int32_t rows, int32_t cols,
                 float *out)
{
    const size_t picked = kind == POOL_LAST ? (size_t)(rows - 1) * (size_t)cols : 0;
    if (kind == POOL_FIRST || kind == POOL_LAST) {
        memcpy(out, states + picked, (size_t)cols * sizeof *out);
        return;
    }
    for (int32_t c = 0; c < cols; c++)
        out[c] = pool_column(kind, states + c, rows, cols);
}
