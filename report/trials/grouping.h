/* report/trials/grouping.h - what columns.c and grouping.c share. */
#ifndef REPORT_TRIALS_GROUPING_H
#define REPORT_TRIALS_GROUPING_H

#include "report/trials/store_data.h"

/* Parameters that make a situation; they are never part of a variant. */
enum { COLUMN_KEYS = 5 };
extern const char *const column_keys[COLUMN_KEYS];

/* The index of the label with this identity, added when it is new. Takes facts over. */
size_t labels_place(struct report_labels *l, json_t *facts);
/* Gives every trial its column; group_by: what is compared makes no column. */
void columns_make(struct report_data *d, const json_t *group_by);

static inline double json_number_or(const json_t *value, double otherwise)
{
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

#endif
