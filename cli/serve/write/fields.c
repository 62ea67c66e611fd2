/* cli/serve/write/fields.c - the fields of /v1/completions and /v1/chat/completions. */
#include "cli/serve/write/wish.h"
#include "lib/config/opt.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <string.h>

enum { PLAIN = 1, CHAT = 2, BOTH = PLAIN | CHAT };

struct taken {
    unsigned of;
    struct opt_def def;
};
/* clang-format off */
static const struct taken taken[] = {
    {BOTH, {.key = "model", .type = OPT_STRING}},
    {PLAIN, {.key = "prompt", .type = OPT_ANY, .flags = OPT_REQUIRED}},
    {CHAT, {.key = "messages", .type = OPT_ANY, .flags = OPT_REQUIRED}},
    {CHAT, {.key = "tools", .type = OPT_ANY}},
    {CHAT, {.key = "documents", .type = OPT_ANY}},
    {CHAT, {.key = "chat_template_kwargs", .type = OPT_ANY}},
    {CHAT, {.key = "add_generation_prompt", .type = OPT_BOOL}},
    {CHAT, {.key = "continue_final_message", .type = OPT_BOOL}},
    {CHAT, {.key = "tool_choice", .type = OPT_CHOICE, .choices = "auto|none"}},
    {BOTH, {.key = "max_tokens", .type = OPT_INT, .min = 1, .max = 1 << 24}},
    {BOTH, {.key = "max_completion_tokens", .type = OPT_INT, .min = 1, .max = 1 << 24}},
    {BOTH, {.key = "min_tokens", .type = OPT_INT, .preset = "0", .min = 0, .max = 1 << 24}},
    {BOTH, {.key = "temperature", .type = OPT_FLOAT, .preset = "1", .min = 0, .max = 1000}},
    {BOTH, {.key = "top_p", .type = OPT_FLOAT, .preset = "1", .min = 0, .max = 1}},
    {BOTH, {.key = "top_k", .type = OPT_INT, .preset = "0", .min = -1, .max = 1 << 30}},
    {BOTH, {.key = "repetition_penalty", .type = OPT_FLOAT, .preset = "1", .min = 1e-3, .max = 1000}},
    {BOTH, {.key = "seed", .type = OPT_INT, .min = -9007199254740991, .max = 9007199254740991}},
    {BOTH, {.key = "n", .type = OPT_INT, .preset = "1", .min = 1, .max = WISH_CHOICES_MOST}},
    {BOTH, {.key = "stop", .type = OPT_NAMES}},
    {BOTH, {.key = "stop_token_ids", .type = OPT_INTS}},
    {BOTH, {.key = "ignore_eos", .type = OPT_BOOL, .preset = "false"}},
    {BOTH, {.key = "deadline_ms", .type = OPT_ANY}},
    {BOTH, {.key = "stream", .type = OPT_BOOL, .preset = "false"}},
    {BOTH, {.key = "stream_options", .type = OPT_ANY}},
    {PLAIN, {.key = "echo", .type = OPT_BOOL, .preset = "false"}},
    {PLAIN, {.key = "logprobs", .type = OPT_INT, .min = 0, .max = 20}},
    {CHAT, {.key = "logprobs", .type = OPT_BOOL, .preset = "false"}},
    {CHAT, {.key = "top_logprobs", .type = OPT_INT, .min = 0, .max = 20}},
};
/* clang-format on */

static const char ignored[] =
    "user|metadata|store|service_tier|prediction|priority|request_id|parallel_tool_calls|"
    "cache_salt|prompt_cache_key|prompt_cache_retention|safety_identifier";

/* With the value that changes nothing; null, [] and {} are such values of all. */
static const struct {
    const char *name, *value;
} fixed[] = {
    {"best_of", "1"},
    {"suffix", "null"},
    {"logit_bias", "null"},
    {"presence_penalty", "0"},
    {"frequency_penalty", "0"},
    {"response_format", "{\"type\": \"text\"}"},
    {"functions", "null"},
    {"function_call", "\"none\""},
    {"modalities", "[\"text\"]"},
    {"audio", "null"},
    {"verbosity", "\"medium\""},
    {"reasoning_effort", "null"},
    {"web_search_options", "null"},
    {"min_p", "0"},
    {"length_penalty", "1"},
    {"use_beam_search", "false"},
    {"early_stopping", "false"},
    {"prompt_logprobs", "null"},
    {"truncate_prompt_tokens", "null"},
    {"allowed_token_ids", "null"},
    {"bad_words", "null"},
    {"structured_outputs", "null"},
    {"guided_json", "null"},
    {"guided_regex", "null"},
    {"guided_choice", "null"},
    {"guided_grammar", "null"},
    {"logits_processors", "null"},
    {"chat_template", "null"},
    {"add_special_tokens", "null"},
    {"skip_special_tokens", "true"},
    {"spaces_between_special_tokens", "true"},
    {"include_stop_str_in_output", "false"},
    {"detokenize", "true"},
    {"return_token_ids", "false"},
    {"return_tokens_as_token_ids", "false"},
    {"echo", "false"},
};

static bool is_taken(const char *name, unsigned of)
{
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if ((taken[i].of & of) && str_eq(taken[i].def.key, name))
            return true;
    return false;
}

static bool is_nothing(const json_t *v)
{
    return json_is_null(v) || (json_is_array(v) && !json_array_size(v)) ||
           (json_is_object(v) && !json_object_size(v));
}

static bool same_value(const json_t *v, const char *text)
{
    json_t *other = json_loads(text, JSON_DECODE_ANY, NULL);
    const bool same = json_is_number(v) && json_is_number(other)
                          ? json_number_value(v) == json_number_value(other)
                          : json_equal(v, other);
    json_decref(other);
    return same;
}

static int refuse_fixed(const char *name, const char *value, struct err *err)
{
    return str_eq(value, "null")
               ? err_set(err, ERR_CONFIG, "%s is not done here: leave it out", name)
               : err_set(err, ERR_CONFIG, "%s is not done here: leave it out, or give %s",
                         name, value);
}

static int refuse_unknown(const char *name, unsigned of, struct err *err)
{
    const char *names[ARRAY_LEN(taken)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (taken[i].of & of)
            names[count++] = taken[i].def.key;
    const char *near = str_nearest(name, names, count);
    return near ? err_set(err, ERR_CONFIG, "unknown field '%.60s': did you mean '%s'?",
                          name, near)
                : err_set(err, ERR_CONFIG, "unknown field '%.60s'", name);
}

/* A field that is not taken: 0 where it changes nothing. */
static int check_other(const char *name, const json_t *v, unsigned of, struct err *err)
{
    if (str_in_list(name, ignored, '|'))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (str_eq(fixed[i].name, name))
            return is_nothing(v) || same_value(v, fixed[i].value)
                       ? 0
                       : refuse_fixed(name, fixed[i].value, err);
    return refuse_unknown(name, of, err);
}

/* One that is taken, or its default. */
static json_t *check_taken(const struct opt_def *def, const json_t *given,
                           struct err *err)
{
    if (given && !json_is_null(given))
        return opt_check(def, given, err);
    if (!(def->flags & OPT_REQUIRED))
        return opt_default(def);
    err_set(err, ERR_CONFIG, "%s is missing", def->key);
    return NULL;
}

json_t *fields_check(const json_t *body, bool chat, const char **param, struct err *err)
{
    const unsigned of = chat ? CHAT : PLAIN;
    const char *name;
    json_t *other, *out = json_object();
    int rc = 0;
    json_object_foreach((json_t *)body, name, other)
    {
        if (rc || is_taken(name, of))
            continue;
        *param = name;
        rc = check_other(name, other, of, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(taken) && !rc; i++) {
        const struct opt_def *def = &taken[i].def;
        if (!(taken[i].of & of))
            continue;
        *param = def->key;
        json_t *v = check_taken(def, json_object_get(body, def->key), err);
        rc = v ? json_object_set_new(out, def->key, v) : err_code(err);
    }
    if (!rc) {
        *param = NULL;
        return out;
    }
    json_decref(out);
    return NULL;
}
