/* runner/options.h - the options of a trial (options.def), and a trial as code reads it.
 *
 * What a user wrote is resolved once: aliases renamed, presets unfolded (`qlora` = lora
 * on nf4), every option of the chosen method filled in, values checked. Keys that the
 * chosen method does not read are errors that name the keys of its own; unknown ones name the
 * nearest that it reads. The
 * resolved tree is canonical: its JSON text is stored, hashed and trained from; nothing
 * else decides.
 *
 * `struct trial` is that tree with a member per row of the table, of the row's type, read
 * once where a trial enters (session_open). A row's default stands in options.def and
 * nowhere else. What is not given and has no default, and what the method does not read,
 * is 0, false, NaN (OPT_FLOAT) or NULL; a row without a default whose 0 means something
 * else than "not given" must therefore be an OPT_FLOAT. */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include "lib/config/opt.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MEMBER_OPT_BOOL   bool
#define MEMBER_OPT_INT    int64_t
#define MEMBER_OPT_FLOAT  double
#define MEMBER_OPT_STRING const char *
#define MEMBER_OPT_CHOICE const char *
#define MEMBER_OPT_PATH   const char *
#define MEMBER_OPT_NAMES  json_t *
#define MEMBER_OPT_INTS   json_t *
#define MEMBER_OPT_MAP    json_t *
#define MEMBER_OPT_ANY    json_t *

struct trial {
#define OPTION(key, aliases, type, ...) MEMBER_##type key;
#include "runner/options.def"
#undef OPTION
    const json_t *json; /* the tree as it came: for keys by name, hash, result.json */
    json_t *filled; /* with the defaults of rows younger than it; strings and trees above
                       are borrowed from here */
};

extern const struct opt_table trial_options;

struct method;
/* Whether a method reads the key of this row. */
bool trial_reads(const struct opt_def *def, const struct method *method);

/* The trial of a resolved tree, which must outlive it. */
void trial_init(struct trial *t, const json_t *resolved);
void trial_release(struct trial *t);

/* `given` holds what a user wrote. New reference in *resolved. */
int trial_resolve(const json_t *given, json_t **resolved, struct err *err);
/* The same for what is only used: what training alone needs (OPT_TO_TRAIN) may be
 * missing. */
int trial_resolve_use(const json_t *given, json_t **resolved, struct err *err);
/* SHA-256 of the canonical text without seed and without what changes no number. */
void trial_key(const json_t *resolved, char key[65]);
/* Puts a word `key=value` into what is given; a path that exists from here is meant from
 * here. */
int trial_override(json_t *given, const char *word, struct err *err);
/* Reads a trial file and `key=value` overrides; gives what is written there and the file's
 * folder (both owned by the caller). */
int trial_given(const char *path, const char *const *overrides, size_t count,
                json_t **given, char **base_dir, struct err *err);
/* The same, resolved by one of the two. */
typedef int trial_resolve_fn(const json_t *given, json_t **resolved, struct err *err);
int trial_read(const char *path, const char *const *overrides, size_t count,
               trial_resolve_fn *resolve, json_t **resolved, char **base_dir,
               struct err *err);

#endif
