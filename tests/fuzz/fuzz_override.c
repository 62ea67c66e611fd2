/* Fuzzes words of the command line against a small sweep. One word per line; whatever is
 * accepted leaves a tree of mappings, and the sweep file reads it or says why not. */
#include "lib/json.h"
#include "sweep/file/override.h"
#include "sweep/samplers/sampler.h"
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8

static const char file[] = "{\"method\": \"random\", \"run_cap\": 3, \"program\": \"x\", "
                           "\"parameters\": {\"rank\": {\"values\": [4, 8]}, "
                           "\"x\": {\"min\": 0, \"max\": 1, \"when\": \"rank > 4\"}}}";

static void read_back(const char *const *words, size_t count)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    struct sampler *s;
    json_t *params;
    int rc =
        sweep_file_parse(file, strlen(file), "fuzz", true, words, count, NULL, &f, &err);
    if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
        abort();
    if (rc < 0)
        return;
    if (f->param_count < 8 && sampler_new(f, 0, &s, &err) == 0) {
        rc = sampler_suggest(s, 0, NULL, &params, &err);
        if (rc == 1 && !json_is_object(params))
            abort();
        json_decref(params);
        sampler_free(s);
    }
    sweep_file_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size < 2000 ? size : 2000), *rest = text;
    const char *words[WORDS_MAX];
    size_t count = 0;
    json_t *root = json_loads(file, 0, NULL);
    while (rest && count < WORDS_MAX) {
        const char *word = strsep(&rest, "\n");
        struct err err = ERR_INIT;
        int rc = sweep_override(root, word, &err);
        if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
            abort();
        if (!json_is_object(json_object_get(root, "parameters")) && rc == 0)
            break;
        words[count++] = word;
    }
    json_decref(root);
    read_back(words, count);
    free(text);
    return 0;
}
