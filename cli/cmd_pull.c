/* cli/cmd_pull.c - `peftlab pull`: a model or data set of a hub into a folder. */
#include "cli/command.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/hub/pull/hub.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 64

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "revision", .type = OPT_STRING, .preset = "main", .metavar = "REV",
     .help = "branch, tag or commit", .group = "what"},
    {.key = "dataset", .type = OPT_BOOL, .preset = "false",
     .help = "a data set, not a model", .group = "what"},
    {.key = "include", .type = OPT_STRING, .flags = OPT_REPEATED, .metavar = "GLOB",
     .help = "only files like this (default for models: configuration, tokenizer, "
             "safetensors)", .group = "what"},
    {.key = "all", .type = OPT_BOOL, .preset = "false",
     .help = "every file, also the same weights in other formats", .group = "what"},
    {.key = "out", .type = OPT_PATH, .metavar = "DIR",
     .help = "folder (default: models/ORG/NAME, data/ORG/NAME for data sets)",
     .group = "where"},
    {.key = "offline", .type = OPT_BOOL, .preset = "false",
     .help = "only look whether all is there (also: HF_HUB_OFFLINE=1)", .group = "where"},
    {.key = "token", .type = OPT_STRING, .metavar = "TOKEN",
     .help = "for private ones (default: HF_TOKEN, then HF_TOKEN_PATH or the file that "
             "the hub's own tools keep)", .group = "where"},
    {.key = "retry_wait", .type = OPT_FLOAT, .preset = "1", .min = 0.001, .max = 60,
     .metavar = "S", .help = "seconds before the second try; doubled each time",
     .group = "where"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table table = {"pull", options, ARRAY_LEN(options)};

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static bool env_is_on(const char *name)
{
    const char *v = env(name);
    return v && str_in_list(v, "1|true|TRUE|True|yes|YES|Yes|on|ON|On", '|');
}

/* The place where the hub's own tools keep a token. */
static char *token_path(void)
{
    const char *home = env("HOME"), *cache = env("XDG_CACHE_HOME"), *hf = env("HF_HOME");
    return env("HF_TOKEN_PATH") ? xstrdup(env("HF_TOKEN_PATH"))
           : hf                 ? fs_join(hf, "token")
           : cache              ? fs_join(cache, "huggingface/token")
           : home               ? fs_join(home, ".cache/huggingface/token")
                                : xstrdup("");
}

/* NULL: none. Caller frees. */
static char *find_token(const json_t *values)
{
    const char *given = json_get_str(values, "token", env("HF_TOKEN"));
    struct buf text = BUF_INIT;
    char *path = token_path(), *token = NULL;
    if (given)
        buf_str_add(&text, given);
    else if (*path && fs_exists(path))
        fs_read(path, 4096, &text, NULL);
    const char *from = buf_str(&text);
    size_t n = text.len;
    while (n && isspace((unsigned char)*from))
        from++, n--;
    while (n && isspace((unsigned char)from[n - 1]))
        n--;
    token = n ? xstrndup(from, n) : NULL;
    free(path);
    buf_release(&text);
    return token;
}

static char *folder_for(const json_t *values, const char *id, bool dataset)
{
    const char *out = json_get_str(values, "out", NULL), *root = env("PEFTLAB_MODELS");
    return out ? xstrdup(out) : fs_join(dataset ? "data" : root ? root : "models", id);
}

static char *find_endpoint(void)
{
    const char *given = env("HF_ENDPOINT");
    char *endpoint = xstrdup(given ? given : HUB_ENDPOINT);
    for (size_t n = strlen(endpoint); n && endpoint[n - 1] == '/';)
        endpoint[--n] = '\0';
    return endpoint;
}

static void print_outcome(const struct hub_request *r, const struct hub_outcome *o,
                          bool as_json)
{
    char a[32], b[32];
    if (as_json) {
        json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}",
                              "schema_version", 1, "id", r->id, "revision", r->revision,
                              "commit", o->commit ? o->commit : "", "dir", r->dir,
                              "files", (json_int_t)o->files, "bytes",
                              (json_int_t)o->bytes, "fetched", (json_int_t)o->fetched,
                              "fetched_bytes", (json_int_t)o->fetched_bytes,
                              "left_out_bytes", (json_int_t)o->left_out_bytes);
        command_print_json(j);
        return;
    }
    text_print(stdout, "%s: %zu files, %s; %zu brought (%s), the others were there\n",
               r->dir, o->files, str_bytes(a, sizeof a, (double)o->bytes), o->fetched,
               str_bytes(b, sizeof b, (double)o->fetched_bytes));
    if (o->left_out_bytes)
        text_print(stdout, "left out: %s in other formats (--all, --include GLOB)\n",
                   str_bytes(a, sizeof a, (double)o->left_out_bytes));
    if (o->commit && *o->commit)
        text_print(stdout, "commit %s of %s\n", o->commit, r->revision);
}

static int pull(const json_t *values, const char *id, struct err *err)
{
    const char *patterns[PATTERNS_MAX];
    const json_t *given = json_object_get(values, "include");
    const size_t count = json_array_size(given);
    const bool dataset = json_get_bool(values, "dataset", 0);
    if (!hub_id_ok(id))
        return err_set(err, ERR_USAGE,
                       "pull: '%.200s' is no id of a hub such as ORG/NAME", id);
    if (count > PATTERNS_MAX)
        return err_set(err, ERR_USAGE, "pull: more than %d --include", PATTERNS_MAX);
    for (size_t i = 0; i < count; i++)
        patterns[i] = json_string_value(json_array_get(given, i));
    char *dir = folder_for(values, id, dataset), *endpoint = find_endpoint(),
         *token = find_token(values);
    struct hub_request r = {
        .id = id,
        .revision = json_get_str(values, "revision", "main"),
        .dataset = dataset,
        .offline = json_get_bool(values, "offline", 0) || env_is_on("HF_HUB_OFFLINE"),
        .all = json_get_bool(values, "all", 0),
        .patterns = patterns,
        .pattern_count = count,
        .dir = dir,
        .endpoint = endpoint,
        .token = token,
        .policy = http_policy_default,
    };
    r.policy.first_wait_s = json_get_num(values, "retry_wait", 1);
    struct hub_outcome o;
    proc_catch_signals();
    int rc = hub_pull(&r, &o, err);
    if (!rc)
        print_outcome(&r, &o, json_get_bool(values, "json", 0));
    free(o.commit);
    free(token);
    free(endpoint);
    free(dir);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *id = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_pull, argc, argv, &values, &id, 1, &count, &done, err);
    if (!rc && !done && !count)
        rc = err_set(err, ERR_USAGE, "pull: what? (usage: peftlab %s)", cmd_pull.usage);
    if (!rc && !done)
        rc = pull(values, id, err);
    json_decref(values);
    return rc;
}

const struct command cmd_pull = {
    .name = "pull",
    .usage = "pull ORG/NAME [--revision REV] [--dataset] [--include GLOB] [--out DIR]",
    .help = "Bring a model or data set of a Hugging Face style hub, checked and resumed.",
    .group = "Models and data",
    .options = &table,
    .run = run,
};
