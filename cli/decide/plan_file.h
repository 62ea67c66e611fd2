/* cli/decide/plan_file.h - the trials of a trial or sweep file, each planned
 * (cli/decide/plan_item.h). */
#ifndef CLI_DECIDE_PLAN_FILE_H
#define CLI_DECIDE_PLAN_FILE_H

#include "cli/decide/plan_item.h"

struct plan_file {
    bool sweep, program; /* program: a user's own trains */
    char *base_dir;
    struct plan_item *items;
    size_t count;
    struct base **bases; /* that items point to; owned */
    size_t base_count;
};

/* `words`: the file, then key=value overrides. */
int plan_file_load(const char *const *words, size_t count, struct plan_file *out,
                   struct err *err);
void plan_file_release(struct plan_file *p);
/* The trial that needs most; the file has one. */
const struct plan_item *plan_file_largest(const struct plan_file *p);

#endif
