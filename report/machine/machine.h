/* report/machine/machine.h - what a user means by "2xa100-40": a GPU of the catalogue and
 * how many.
 *
 * Upper case, blanks and punctuation are not minded, "gb" may be left out: "a100-40",
 * "A100 40GB", "4090", "4xl40s". A name that fits several GPUs ("a100") is an error that
 * names them. */
#ifndef REPORT_MACHINE_MACHINE_H
#define REPORT_MACHINE_MACHINE_H

#include "report/machine/catalog.h"

#define MACHINE_GPUS_MAX 1024

struct machine {
    const struct gpu *gpu; /* of the catalogue */
    int count;
};

/* ERR_CONFIG: not a machine; names what is near or what there is. */
int machine_parse(const struct catalog *c, const char *text, struct machine *out,
                  struct err *err);
/* The GPU computes in bfloat16. */
bool machine_has_bf16(const struct machine *m);

#endif
