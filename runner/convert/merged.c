/* runner/convert/merged.c - a Hugging Face folder: of an adapter and its base, or of a GGUF
 * file. */
#include "lib/json.h"
#include "runner/convert/convert.h"
#include "runner/convert/merged_base.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>

/* A method that adds nothing merges to the base itself. */
static int write_model(const struct convert *c, struct merge_report *report,
                       struct err *err)
{
    json_t *resolved = NULL,
           *given = json_pack("{s:s, s:s, s:s}", "model", c->path, "method",
                              method_full.name, "task", "CAUSAL_LM");
    int rc = trial_resolve_use(given, &resolved, err);
    if (!rc)
        rc = merge_folder(resolved, ".", NULL, c->out, c->overwrite, report, err);
    json_decref(resolved);
    json_decref(given);
    return rc;
}

int convert_merged(const struct convert *c, struct convert_report *out, struct err *err)
{
    struct merge_report report;
    char *base = NULL;
    if (c->kind == FROM_GGUF_LORA)
        return err_set(err, ERR_CONFIG,
                       "'%s' is an adapter in a GGUF file: make a folder of it first "
                       "(--to peft)",
                       c->path);
    int rc = c->kind == FROM_ADAPTER ? merged_base_write(c, c->out, &base, &report, err)
                                     : write_model(c, &report, err);
    free(base);
    if (!rc)
        *out = (struct convert_report){report.tensors, report.bytes};
    return rc;
}
