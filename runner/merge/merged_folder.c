/* runner/merge/merged_folder.c - see merge.h: the merged folder. */
#include "lib/fs.h"
#include "lib/str.h"
#include "runner/merge/logit_change.h"
#include "runner/merge/weights.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include "runner/run_folder.h"
#include <sys/stat.h>

static const struct {
    const char *word;
    enum dtype dtype;
} dtypes[] = {{"f32", DT_F32}, {"f16", DT_F16}, {"bf16", DT_BF16}};

enum dtype merge_dtype(const char *word)
{
    for (size_t i = 0; word && i < sizeof dtypes / sizeof *dtypes; i++)
        if (str_eq(word, dtypes[i].word))
            return dtypes[i].dtype;
    return DT_COUNT;
}

/* By inode: another name of the folder would replace the base as well. */
static int check_out_dir(const struct session *s, const struct merge_target *to,
                         struct err *err)
{
    struct stat model, out;
    if (stat(s->hf->dir, &model) == 0 && stat(to->out, &out) == 0 &&
        model.st_dev == out.st_dev && model.st_ino == out.st_ino)
        return err_set(err, ERR_CONFIG,
                       "merge: '%s' is the base model's own folder; give another one",
                       to->out);
    return run_folder_check_replaced(to->out, model_folder_has, to->overwrite, err);
}

struct job {
    struct session *s;
    struct merged merged;
    const json_t *resolved;
    const struct merge_target *to;
    struct merge_report *out;
};

static int write_folder(void *ctx, const char *dir, struct err *err)
{
    struct job *j = ctx;
    struct session *s = j->s;
    const char *const *labels =
        s->labels.from_strings ? (const char *const *)s->labels.names : NULL;
    int rc = merged_write(&j->merged, dir, j->to, j->out, err);
    if (!rc)
        rc = model_folder_files(&s->net, dir, labels, j->out->dtype, err);
    return rc ? rc : merge_compare(s, j->resolved, dir, j->out, err);
}

int merge_folder(const json_t *resolved, const char *base_dir, const char *adapter,
                 const struct merge_target *to, struct merge_report *out, struct err *err)
{
    struct session s;
    struct job j = {.s = &s, .resolved = resolved, .to = to, .out = out};
    *out = (struct merge_report){0};
    int rc = session_open(&s, resolved, base_dir, adapter, false, err);
    if (!rc)
        rc = merged_open(&j.merged, &s, err);
    if (!rc && s.arch->text_root)
        rc = err_set(err, ERR_CONFIG,
                     "model '%s': a merged folder would lack the part for pictures; "
                     "merge_and_unload of peft keeps both",
                     s.hf->dir);
    if (!rc)
        rc = check_out_dir(&s, to, err);
    if (!rc)
        rc = fs_make_folder(to->out, write_folder, &j, err);
    session_close(&s);
    return rc;
}
