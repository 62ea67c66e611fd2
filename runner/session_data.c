/* runner/session_data.c - the rows of a session: its splits, and whether the model can take
 * them. */
#include "lib/fs.h"
#include "lib/json.h"
#include "runner/nn/arch/arch.h"
#include "runner/session.h"
#include <stdlib.h>

/* More than any method's schedule asks for. */
#define ENDLESS_ROWS ((int64_t)1 << 40)

const char *const split_names[SPLIT_COUNT] = {"train", "eval", "test", "general"};

int32_t session_classes_of_model(const struct session *s)
{
    const size_t named = s->known_labels.count,
                 made_up = json_object_size(json_object_get(s->hf->config, "id2label"));
    return (int32_t)(named ? named : made_up);
}

static struct data_spec data_spec(const struct session *s)
{
    const struct trial *t = &s->trial;
    int32_t limit = arch_positions(s->arch, s->hf->config);
    limit -= (int32_t)t->num_virtual_tokens; /* 0: the method has none */
    if (s->tokenizer && tokenizer_max_length(s->tokenizer) < limit)
        limit = tokenizer_max_length(s->tokenizer);
    if (t->max_length && t->max_length < limit)
        limit = (int32_t)t->max_length;
    return (struct data_spec){
        .text_column = t->text_column,
        .text_pair_column = t->text_pair_column,
        .label_column = t->label_column,
        .max_length = limit,
        .seed = (uint64_t)t->seed,
        .vocab_size = (int32_t)json_get_int(s->hf->config, "vocab_size", 0),
        .num_labels = t->num_labels || t->train_data ? (int32_t)t->num_labels
                                                     : session_classes_of_model(s),
        .held_out_share = t->validation_split > 0 ? t->validation_split : 0,
        .split_seed = (uint64_t)t->split_seed,
        .assume_length = s->assume && !s->hf->weights,
        .labels = s->goal.labels,
        .known = &s->known_labels,
        .must_fit = s->head_is_used || !t->train_data,
        .untaught = !t->train_data,
        .reader = s->goal.task->kind->reader,
        .language = &s->language,
        .keep_dropped = s->only_rows,
    };
}

/* Rows that are not here, by what the trial says of them. Of evaluation data nothing is
 * said: its time is not counted, its memory is that of a training batch. */
static void assume_split(struct session *s, int split, const struct data_spec *spec,
                         const char *path)
{
    int64_t rows = s->trial.max_train_samples;
    if (!s->labels.count && !spec->reader->row)
        labels_assume(&s->labels, spec->num_labels ? (size_t)spec->num_labels
                                  : s->goal.labels == LABEL_numbers ? 1
                                                                    : 2);
    if (split == SPLIT_TRAIN && !rows) {
        s->course.endless = true;
        rows = ENDLESS_ROWS;
    }
    if (split == SPLIT_TRAIN)
        s->data[split] = dataset_assumed(path, rows, spec->max_length);
}

static int open_split(struct session *s, int split, const struct data_spec *spec,
                      const char *file, struct err *err)
{
    size_t cut = 0;
    char *path = fs_join(s->base_dir, file);
    const bool assumed =
        s->assume == ASSUME_ROWS || (s->assume && !s->hf->weights && !fs_exists(path));
    int rc = assumed ? 0
                     : dataset_load(path, spec, s->tokenizer, &s->labels, &s->data[split],
                                    &cut, err);
    if (assumed)
        assume_split(s, split, spec, path);
    s->truncated_rows += cut;
    if (!rc && s->data[split] && s->data[split]->count == 0)
        rc = err_set(err, ERR_PARSE, "data file '%s': no rows", path);
    free(path);
    return rc;
}

int session_open_data(struct session *s, struct err *err)
{
    if (!s->trial.train_data && s->trial.validation_split > 0)
        return err_set(err, ERR_CONFIG,
                       "'validation_split' is a share of 'train_data', which is missing");
    if (s->trial.eval_data && s->trial.validation_split > 0)
        return err_set(err, ERR_CONFIG,
                       "'validation_split' and 'eval_data' are both given: rows to "
                       "evaluate on come from one of them");
    if (s->trial.general_data && !s->goal.task->kind->per_token)
        return err_set(
            err, ERR_CONFIG,
            "'general_data' is text for a language model to be scored on; task "
            "'%s' has no loss on it",
            s->trial.task);
    const char *const files[SPLIT_COUNT] = {s->trial.train_data, s->trial.eval_data,
                                            s->trial.test_data, s->trial.general_data};
    const struct data_spec common = data_spec(s);
    struct language plain = s->language; /* of general text every token counts */
    plain.assistant_only = false;
    plain.completion_only = -1;
    s->row_tokens = common.max_length;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const char *file = files[i];
        struct data_spec spec = common;
        spec.held_out = i == SPLIT_EVAL && !file && common.held_out_share > 0;
        if (spec.held_out)
            file = files[SPLIT_TRAIN];
        else if (i != SPLIT_TRAIN)
            spec.held_out_share = 0;
        if (!file)
            continue;
        if (i == SPLIT_TRAIN)
            spec.max_samples = s->trial.max_train_samples;
        if (i == SPLIT_GENERAL)
            spec.language = &plain;
        int rc = open_split(s, i, &spec, file, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_types(const struct session *s, const struct dataset *d, struct err *err)
{
    for (size_t r = 0; d->rows && r < d->count && s->net.shape.token_types; r++)
        for (int32_t t = 0; d->rows[r].type_ids && t < d->rows[r].n; t++)
            if (d->rows[r].type_ids[t] >= s->net.shape.token_types)
                return err_set(err, ERR_CONFIG,
                               "data file '%s': a row has token type %d, but the model's "
                               "type_vocab_size is %d",
                               d->path, d->rows[r].type_ids[t], s->net.shape.token_types);
    return 0;
}

int session_check_rows(const struct session *s, struct err *err)
{
    const int32_t room = s->net.shape.max_positions - s->net.change.virtual_tokens;
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (s->data[i] && s->data[i]->longest > room)
            return err_set(
                err, ERR_CONFIG,
                "data file '%s': a row has %d tokens, but the model has %d positions%s",
                s->data[i]->path, s->data[i]->longest, room,
                s->net.change.virtual_tokens ? " behind the virtual tokens" : "");
    int rc = 0;
    for (int i = 0; i < SPLIT_COUNT && !rc; i++)
        rc = s->data[i] ? check_types(s, s->data[i], err) : 0;
    return rc;
}
