/* runner/convert/convert.h - models and adapters as files of other programs.
 *
 * A target is one row of targets.def and one file. It gets what `from` is (source.c) and
 * writes `out`, which appears whole or not at all. What the other program's file has no
 * place for is refused by name, never left out: a file that loads and computes something
 * else is worse than none. */
#ifndef RUNNER_CONVERT_CONVERT_H
#define RUNNER_CONVERT_CONVERT_H

#include "lib/err.h"
#include "runner/hub/blocks.h"
#include <stdbool.h>
#include <stddef.h>

enum convert_from {
    FROM_ADAPTER,   /* a folder of peft's or of the adapters library */
    FROM_GGUF_LORA, /* llama.cpp's file of an adapter */
    FROM_MODEL,     /* a Hugging Face folder or a GGUF file */
};

struct convert {
    enum convert_from kind;
    char *path;        /* the adapter's folder or file, or the model as named */
    const char *model; /* base of an adapter; NULL: the one that it names */
    const char *out;   /* file or folder to write */
    const struct block_type *dtype; /* of matrices; NULL: the target has no choice */
    bool overwrite;                 /* `out` may be there */
};

struct convert_report {
    int64_t tensors, bytes; /* written */
};

struct convert_target {
    const char *name, *dtypes, *help; /* dtypes: "" or "f32|f16", the default first */
    int (*write)(const struct convert *c, struct convert_report *out, struct err *err);
};
const struct convert_target *convert_target_at(size_t i); /* NULL past the last */

/* `from`: adapter folder, run folder (its adapter/), model folder, GGUF file or a model's
 * name; `dtype`: NULL for the target's default. */
int convert_run(const char *target, const char *from, const char *model,
                const char *dtype, const char *out, bool overwrite,
                struct convert_report *report, struct err *err);

#define TARGET(id, ...)                                                                  \
    int convert_##id(const struct convert *c, struct convert_report *out,                \
                     struct err *err);
#include "runner/convert/targets.def"
#undef TARGET

#endif
