/* Shapes of known models, out of the configurations that the program has built in
 * (runner/hub/configs; report/ may not ask runner/). */
#ifndef TESTS_UNIT_REPORT_KNOWN_SHAPE_H
#define TESTS_UNIT_REPORT_KNOWN_SHAPE_H

#include "lib/json.h"
#include "lib/str.h"
#include "report/machine/shape.h"
#include <stdio.h>

/* 1 found, 0 not. `name`: of a file, or "bert-base", "minilm". */
static inline int known_shape(const char *name, struct model_shape *out)
{
    static const char *const aliases[][2] = {{"bert-base", "bert-base-uncased"},
                                             {"minilm", "all-minilm-l6-v2"}};
    char path[256];
    for (size_t i = 0; i < 2; i++)
        if (str_eq(name, aliases[i][0]))
            name = aliases[i][1];
    snprintf(path, sizeof path, "runner/hub/configs/%s.json", name);
    json_t *config = json_read_file(path, NULL);
    int rc = config ? shape_from_config(config, name, out, NULL) : -1;
    json_decref(config);
    return rc == 0;
}

#endif
