/* cli/trial/text_command.c - see text_command.h. */
#include "cli/trial/text_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/options.h"
#include <stdlib.h>

#define MAX_WORDS 256

static bool is_trial_file(const char *word)
{
    return str_has_suffix(word, ".yaml") || str_has_suffix(word, ".yml") ||
           str_has_suffix(word, ".json");
}

/* What a trial would say: the adapter's folder knows its method, else the model alone. */
static int given_by_model(const char *model, const char *adapter,
                          const char *const *overrides, size_t count, json_t **given,
                          struct err *err)
{
    int rc = 0;
    if (adapter)
        rc = adapter_trial(adapter, model, given, err);
    else
        *given = json_pack("{s:s, s:s}", "model", model, "task", "causal-lm");
    for (size_t i = 0; i < count && !rc; i++)
        rc = trial_override(*given, overrides[i], err);
    return rc;
}

static int resolve(struct text_command *t, const char *const *words, size_t count,
                   struct err *err)
{
    json_t *given = NULL;
    int rc;
    if (is_trial_file(words[0]))
        return trial_read(words[0], words + 1, count - 1, trial_resolve_use, &t->resolved,
                          &t->base_dir, err);
    t->base_dir = xstrdup(".");
    rc = given_by_model(words[0], json_get_str(t->values, "adapter", NULL), words + 1,
                        count - 1, &given, err);
    if (!rc)
        rc = trial_resolve_use(given, &t->resolved, err);
    json_decref(given);
    return rc;
}

/* Users of transformers would get them without being asked. */
static void tell_unused(const struct text_command *t)
{
    char *settings = prompter_unused_settings(&t->prompter);
    if (settings && !json_is_number(json_object_get(t->values, "temperature")))
        text_print(stderr,
                   "peftlab: generation_config.json suggests %s; not used, give "
                   "--temperature and the like for it\n",
                   settings);
    free(settings);
}

int text_command_open(struct text_command *t, const struct command *c, int argc,
                      char **argv, struct err *err)
{
    const char *words[MAX_WORDS];
    size_t count = 0;
    *t = (struct text_command){0};
    int rc =
        command_parse(c, argc, argv, &t->values, words, MAX_WORDS, &count, &t->done, err);
    if (rc || t->done)
        return rc;
    if (count == 0)
        return err_set(err, ERR_USAGE, "%s: which model? usage: peftlab %s", c->name,
                       c->usage);
    t->sampling = (struct sampling){
        .temperature = json_get_num(t->values, "temperature", 0),
        .top_k = json_get_int(t->values, "top_k", 0),
        .top_p = json_get_num(t->values, "top_p", 1),
        .repetition_penalty = json_get_num(t->values, "repetition_penalty", 1),
        .seed = (uint64_t)json_get_int(t->values, "seed", 0),
    };
    if ((rc = resolve(t, words, count, err)) ||
        (rc = session_open_decoder(&t->session, t->resolved, t->base_dir,
                                   json_get_str(t->values, "adapter", NULL), err)) ||
        (rc = prompter_open(&t->prompter, &t->session,
                            json_get_str(t->values, "template", NULL), err)))
        return rc;
    tell_unused(t);
    return 0;
}

void text_command_release(struct text_command *t)
{
    prompter_release(&t->prompter);
    session_close(&t->session);
    json_decref(t->resolved);
    json_decref(t->values);
    free(t->base_dir);
    *t = (struct text_command){0};
}
