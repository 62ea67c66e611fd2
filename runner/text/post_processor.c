/* runner/text/post_processor.c - post-processors as templates: TemplateProcessing,
 * BertProcessing, RobertaProcessing; ByteLevel, which only trims places; Sequence. */
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

static int template_parse(const json_t *json, struct post_processor *out, struct err *err)
{
    struct template *t = out->templates;
    const json_t *specials = json_object_get(json, "special_tokens");
    int rc = parse_template(json, "single", specials, &t[0], err);
    return rc < 0 ? rc : parse_template(json, "pair", specials, &t[1], err);
}

/* "sep": ["[SEP]", 102], "cls": ["[CLS]", 101] */
static int cls_sep(const json_t *json, int64_t *cls, int64_t *sep, struct err *err)
{
    const json_t *c = json_array_get(json_object_get(json, "cls"), 1);
    const json_t *s = json_array_get(json_object_get(json, "sep"), 1);
    if (!json_is_integer(c) || !json_is_integer(s))
        return err_set(err, ERR_PARSE,
                       "post_processor: 'sep' and 'cls' must be [token, id]");
    *cls = json_integer_value(c);
    *sep = json_integer_value(s);
    return 0;
}

/* cls A sep, and cls A sep [sep] B sep for a pair, B being of type `second`. */
static int classic(struct template t[2], int64_t cls, int64_t sep, bool two_seps,
                   int second, struct err *err)
{
    int rc = 0;
    for (int pair = 0; pair < 2 && rc >= 0; pair++) {
        rc = add_piece(&t[pair], -1, cls, 0, err);
        for (int s = 0; s <= pair && rc >= 0; s++) {
            const int type = s ? second : 0;
            if (s && two_seps)
                rc = add_piece(&t[pair], -1, sep, type, err);
            if (rc >= 0)
                rc = add_piece(&t[pair], s, 0, type, err);
            if (rc >= 0)
                rc = add_piece(&t[pair], -1, sep, type, err);
        }
    }
    return rc;
}

static int bert_parse(const json_t *json, struct post_processor *out, struct err *err)
{
    int64_t cls, sep;
    int rc = cls_sep(json, &cls, &sep, err);
    return rc ? rc : classic(out->templates, cls, sep, false, 1, err);
}

static int byte_level_parse(const json_t *json, struct post_processor *out,
                            struct err *err)
{
    (void)err;
    out->trim_offsets = json_get_bool(json, "trim_offsets", 1);
    out->add_prefix_space = json_get_bool(json, "add_prefix_space", 1);
    return 0;
}

static int roberta_parse(const json_t *json, struct post_processor *out, struct err *err)
{
    int64_t cls, sep;
    int rc = cls_sep(json, &cls, &sep, err);
    byte_level_parse(json, out, err);
    return rc ? rc : classic(out->templates, cls, sep, true, 0, err);
}

static int plain(struct template t[2], struct err *err)
{
    add_piece(&t[0], 0, 0, 0, err);
    add_piece(&t[1], 0, 0, 0, err);
    return add_piece(&t[1], 1, 0, 1, err);
}

static int parse_kind(const json_t *json, struct post_processor *out, struct err *err);

static int sequence_parse(const json_t *json, struct post_processor *out, struct err *err)
{
    const json_t *list = json_object_get(json, "processors");
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && rc >= 0; i++) {
        const size_t before = out->templates[0].n;
        rc = parse_kind(json_array_get(list, i), out, err);
        if (rc >= 0 && before && out->templates[0].n > before)
            rc =
                err_set(err, ERR_PARSE,
                        "post_processor: a Sequence with two templates is not supported");
    }
    return rc;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct post_processor *out, struct err *err);
} kinds[] = {
    {"TemplateProcessing", template_parse}, {"BertProcessing", bert_parse},
    {"RobertaProcessing", roberta_parse},   {"ByteLevel", byte_level_parse},
    {"Sequence", sequence_parse},
};

static int parse_kind(const json_t *json, struct post_processor *out, struct err *err)
{
    const char *type = part_type(json, "post_processor", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return kinds[i].parse(json, out, err);
    return part_unknown("post_processor", type, err);
}

int post_processor_parse(const json_t *json, const struct tokenizer *t,
                         struct post_processor *out, struct err *err)
{
    int rc = !json || json_is_null(json) ? 0 : parse_kind(json, out, err);
    if (rc >= 0 && !out->templates[0].n)
        rc = plain(out->templates, err);
    for (int i = 0; rc >= 0 && i < 2; i++)
        for (size_t j = 0; j < out->templates[i].n; j++) {
            const struct piece *p = &out->templates[i].at[j];
            if (p->sequence < 0 && !tokenizer_token(t, p->id))
                return err_set(err, ERR_PARSE,
                               "post_processor: id %d is not in the vocabulary", p->id);
        }
    return rc;
}
