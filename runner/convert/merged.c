/* runner/convert/merged.c - a Hugging Face folder: of an adapter and its base, or of a GGUF
 * file. */
#include "lib/json.h"
#include "runner/convert/convert.h"
#include "runner/convert/merged_trial.h"
#include "runner/merge/merge.h"

int convert_merged(const struct convert *c, struct convert_report *out, struct err *err)
{
    struct merge_report report;
    const struct merge_target to = {.out = c->out,
                                    .dtype =
                                        c->dtype ? block_type_dtype(c->dtype) : DT_COUNT,
                                    .overwrite = c->overwrite};
    json_t *resolved;
    int rc = merged_trial(c, &resolved, err);
    if (!rc)
        rc = merge_folder(resolved, ".", merged_adapter(c), &to, &report, err);
    if (!rc)
        *out = (struct convert_report){report.tensors, report.bytes};
    json_decref(resolved);
    return rc;
}
