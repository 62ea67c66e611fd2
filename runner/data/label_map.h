/* runner/data/label_map.h - from a row's label to its class index (inside runner/data).
 *
 * While a training file is read, label_map_learn sees every label and label_map_fix turns
 * them into classes; afterwards, or for an evaluation file at once, label_map_index looks
 * them up. Messages start with what is wrong; callers put file and line in front. */
#ifndef RUNNER_DATA_LABEL_MAP_H
#define RUNNER_DATA_LABEL_MAP_H

#include "lib/hash.h"
#include "runner/data/dataset.h"

struct label_map {
    struct labels *labels;
    struct strmap *index; /* name -> class */
    int64_t highest;      /* of integer labels while learning; -1: none yet */
};

void label_map_init(struct label_map *m, struct labels *labels);
void label_map_release(struct label_map *m);
int label_map_learn(struct label_map *m, const json_t *label, struct err *err);
/* The classes of a training file: sorted names, or in the order of spec->known. */
int label_map_fix(struct label_map *m, const struct data_spec *spec, const char *source,
                  struct err *err);
int label_map_index(const struct label_map *m, const json_t *label, int32_t *out,
                    struct err *err);

#endif
