/* runner/data/language.c - see language.h. */
#include "runner/data/language.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/model_text.h"
#include <stdlib.h>
#include <string.h>

int language_parse_day(const char *text, struct tm *out, struct err *err)
{
    const char *end;
    *out = (struct tm){0};
    if (strlen(text) != 10 || !(end = strptime(text, "%Y-%m-%d", out)) || *end)
        return err_set(err, ERR_USAGE, "'%s' is not a day such as 2026-03-05", text);
    const int day = out->tm_mday;
    timegm(
        out); /* week day and day of the year; a 31st of April becomes the 1st of May */
    return out->tm_mday == day
               ? 0
               : err_set(err, ERR_USAGE, "'%s': there is no such day", text);
}

static int read_options(struct language *l, const struct trial *t, const char *base_dir,
                        struct err *err)
{
    const json_t *only = t->completion_only_loss;
    l->assistant_only = t->assistant_only_loss;
    l->completion_only = only ? json_is_true(only) : -1;
    l->ids_length = (int32_t)t->max_length;
    l->dated = t->chat_template_date != NULL;
    l->template_file = t->chat_template ? fs_join(base_dir, t->chat_template) : NULL;
    if (only && !json_is_boolean(only))
        return err_set(err, ERR_CONFIG, "'completion_only_loss' is true or false");
    if (l->dated && language_parse_day(t->chat_template_date, &l->now, NULL) < 0)
        return err_set(err, ERR_CONFIG,
                       "'chat_template_date' must be a day such as 2026-03-05, not "
                       "'%.50s'",
                       t->chat_template_date);
    const time_t now = time(NULL);
    if (!l->dated)
        localtime_r(&now, &l->now);
    return 0;
}

static int read_end_token(struct language *l, const struct hf_model *m,
                          const struct tokenizer *tokenizer, struct err *err)
{
    struct model_text text;
    const json_t *id = json_object_get(m->config, "eos_token_id");
    int rc = model_text_read(m->dir, &text, err);
    const char *name = json_get_str(text.tokens, "eos_token", NULL);
    id = json_is_array(id) ? json_array_get(id, 0) : id;
    if (!name && tokenizer && json_is_integer(id))
        name = tokenizer_token(tokenizer, (int32_t)json_integer_value(id));
    l->eos = name && *name ? xstrdup(name) : NULL;
    model_text_release(&text);
    return rc < 0 ? err_context(err, "model '%s': ", m->dir) : 0;
}

int language_open(struct language *l, const struct trial *t, const char *base_dir,
                  const struct hf_model *m, const struct tokenizer *tokenizer,
                  struct err *err)
{
    *l = (struct language){.model = fs_exists(m->dir) ? m->dir : NULL};
    int rc = read_options(l, t, base_dir, err);
    return rc >= 0 && l->model ? read_end_token(l, m, tokenizer, err) : rc;
}

void language_release(struct language *l)
{
    free(l->template_file);
    free(l->eos);
    *l = (struct language){0};
}

int language_unread(const struct trial *t, struct err *err)
{
    const struct {
        const char *key;
        bool given;
    } keys[] = {{"packing", !str_eq(t->packing, "none")},
                {"completion_only_loss", t->completion_only_loss != NULL},
                {"assistant_only_loss", t->assistant_only_loss},
                {"chat_template", t->chat_template != NULL},
                {"chat_template_date", t->chat_template_date != NULL}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].given)
            return err_set(err, ERR_CONFIG,
                           "'%s' is for language models (task causal-lm)", keys[i].key);
    return 0;
}
