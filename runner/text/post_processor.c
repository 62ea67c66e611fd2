/* runner/text/post_processor.c - post-processors as templates: TemplateProcessing and
 * BertProcessing. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 1000

static int add_piece(struct template *t, int sequence, int64_t id, int64_t type_id,
                     struct err *err)
{
    if (t->n >= PIECES_MAX)
        return err_set(err, ERR_PARSE, "post_processor: more than %d pieces", PIECES_MAX);
    if (id < 0 || id >= VOCAB_MAX || type_id < 0 || type_id > INT32_MAX)
        return err_set(err, ERR_PARSE, "post_processor: id or type_id out of range");
    t->at = xgrow(t->at, &t->cap, t->n + 1, sizeof *t->at);
    t->at[t->n++] = (struct piece){sequence, (int32_t)id, (int32_t)type_id};
    t->specials += sequence < 0;
    return 0;
}

static int64_t type_of(const json_t *piece)
{
    return json_get_int(piece, "type_id", 0);
}

static int add_special(struct template *t, const json_t *piece, const json_t *specials,
                       struct err *err)
{
    const char *name = json_get_str(piece, "id", "");
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids");
    if (!json_is_array(ids))
        return err_set(err, ERR_PARSE, "post_processor: special token '%s' has no 'ids'",
                       name);
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        rc = add_piece(t, -1, json_is_integer(id) ? json_integer_value(id) : -1,
                       type_of(piece), err);
    }
    return rc;
}

static int parse_template(const json_t *json, const char *key, const json_t *specials,
                          struct template *t, struct err *err)
{
    const json_t *list = json_object_get(json, key);
    int seen[2] = {0, 0}, rc = 0;
    if (!json_is_array(list))
        return err_set(err, ERR_PARSE, "post_processor: '%s' must be a list of pieces",
                       key);
    for (size_t i = 0; rc >= 0 && i < json_array_size(list); i++) {
        const json_t *piece = json_array_get(list, i);
        const json_t *special = json_object_get(piece, "SpecialToken");
        const json_t *sequence = json_object_get(piece, "Sequence");
        const char *name = json_get_str(sequence, "id", "");
        int which = !strcmp(name, "B");
        if (special)
            rc = add_special(t, special, specials, err);
        else if (!which && strcmp(name, "A") != 0)
            rc = err_set(err, ERR_PARSE,
                         "post_processor: '%s'[%zu] is neither a SpecialToken nor "
                         "sequence A or B",
                         key, i);
        else if (seen[which]++)
            rc = err_set(err, ERR_PARSE, "post_processor: '%s' has sequence %s twice",
                         key, name);
        else
            rc = add_piece(t, which, 0, type_of(sequence), err);
    }
    bool pair = !strcmp(key, "pair");
    if (rc >= 0 && (!seen[0] || seen[1] != pair))
        rc = err_set(err, ERR_PARSE, "post_processor: '%s' must hold sequence A%s", key,
                     pair ? " and B" : " only");
    return rc;
}

static int template_parse(const json_t *json, struct template t[2], struct err *err)
{
    const json_t *specials = json_object_get(json, "special_tokens");
    int rc = parse_template(json, "single", specials, &t[0], err);
    return rc < 0 ? rc : parse_template(json, "pair", specials, &t[1], err);
}

/* "sep": ["[SEP]", 102], "cls": ["[CLS]", 101] */
static int bert_parse(const json_t *json, struct template t[2], struct err *err)
{
    const json_t *sep = json_array_get(json_object_get(json, "sep"), 1);
    const json_t *cls = json_array_get(json_object_get(json, "cls"), 1);
    if (!json_is_integer(sep) || !json_is_integer(cls))
        return err_set(err, ERR_PARSE,
                       "post_processor: 'sep' and 'cls' must be [token, id]");
    int rc = 0;
    for (int pair = 0; pair < 2 && rc >= 0; pair++) {
        rc = add_piece(&t[pair], -1, json_integer_value(cls), 0, err);
        for (int s = 0; s <= pair && rc >= 0; s++) {
            rc = add_piece(&t[pair], s, 0, s, err);
            if (rc >= 0)
                rc = add_piece(&t[pair], -1, json_integer_value(sep), s, err);
        }
    }
    return rc;
}

static int plain(struct template t[2], struct err *err)
{
    add_piece(&t[0], 0, 0, 0, err);
    add_piece(&t[1], 0, 0, 0, err);
    return add_piece(&t[1], 1, 0, 1, err);
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct template t[2], struct err *err);
} kinds[] = {
    {"TemplateProcessing", template_parse},
    {"BertProcessing",     bert_parse    },
};

int post_processor_parse(const json_t *json, const struct tokenizer *t,
                         struct template templates[2], struct err *err)
{
    int rc = -ERR_PARSE;
    if (!json || json_is_null(json))
        return plain(templates, err);
    const char *type = part_type(json, "post_processor", err);
    size_t k = 0;
    while (type && k < ARRAY_LEN(kinds) && strcmp(kinds[k].type, type) != 0)
        k++;
    if (type)
        rc = k == ARRAY_LEN(kinds) ? part_unknown("post_processor", type, err)
                                   : kinds[k].parse(json, templates, err);
    for (int i = 0; rc >= 0 && i < 2; i++)
        for (size_t j = 0; j < templates[i].n; j++)
            if (templates[i].at[j].sequence < 0 &&
                !tokenizer_token(t, templates[i].at[j].id))
                return err_set(err, ERR_PARSE,
                               "post_processor: id %d is not in the vocabulary",
                               templates[i].at[j].id);
    return rc;
}
