/* cli/decide/adviser.h - what an advice stands on: catalogues, priors, the base, the
 * trainer's methods and its own planner, the store's evidence; opened once, for `advise`
 * and for `init`.
 *
 * Of a base whose architecture the trainer knows, here or known by name, memory on this
 * machine is planned by the trainer itself, and its counts go into what is predicted by
 * formula: GPUs, other bases, time (report/machine/estimate.h). */
#ifndef CLI_DECIDE_ADVISER_H
#define CLI_DECIDE_ADVISER_H

#include "cli/decide/base.h"
#include "report/advise/advise.h"

#define ADVISER_METHODS_MAX 64

struct adviser {
    struct catalog catalog;
    struct priors priors;
    struct base base;
    struct method_facts methods[ADVISER_METHODS_MAX];
    struct store *store;
    struct advise_request request; /* what the above says is filled in; the rest is the
                                      caller's */
};

/* NULLs: the catalogues that are built in, and the default store if it is there. It must
 * stay where it is, and be closed also where this fails. */
int adviser_open(struct adviser *a, const char *model, const char *gpus,
                 const char *prices, const char *store, struct err *err);
void adviser_close(struct adviser *a);

#endif
