/* tracker/foreign/wandb_parts.h - what the files of the W&B reader share (wandb*.c).
 *
 * A .wandb file is 7 bytes of head (":W&B", 0xBEE1, version 0 or 1), then a log of
 * LevelDB's kind whose sums are zlib's CRC-32 of type and bytes. Each record is a message
 * `Record`. It is gone through three times: for all but the history (the run, its
 * configuration, which metric another one is drawn over), for the values of those axes,
 * for the history itself.
 *
 * Axes: a metric that define_metric draws over another one ("valid/f1" over "epoch";
 * transformers: all over "train/global_step") has that one's values as its steps, as far
 * as they are whole numbers from 0 on throughout; else the row's own number stays. */
#ifndef TRACKER_FOREIGN_WANDB_PARTS_H
#define TRACKER_FOREIGN_WANDB_PARTS_H

#include "lib/buf.h"
#include "lib/wire/protobuf.h"
#include "tracker/foreign/foreign_run.h"

/* An item of a history, summary or configuration: where it belongs and its JSON. */
struct wandb_item {
    char *key; /* parts with '.' between */
    const char *json;
    size_t length, parent; /* parent: bytes of the key without its last part */
    bool dropped;          /* of media, or internal */
    bool number;
    double value; /* where it is a number, true or false */
};
struct wandb_row {
    struct wandb_item *items;
    size_t count, cap;
    int64_t step; /* -1: not said */
};
/* One metric over another. */
struct wandb_axis_rule {
    char *pattern, *axis;
};
struct wandb_axis {
    char *name;
    bool seen, fractions;
    int64_t last; /* -1: not yet */
};
struct wandb_run {
    struct foreign_run run;
    struct wandb_axis_rule *rules;
    size_t rule_count, rule_cap;
    struct wandb_axis *axes;
    size_t axis_count, axis_cap;
    struct wandb_row row; /* used again for every row */
    int64_t step, at_ms;  /* of the last row */
    size_t bad_records;
    bool ended;
};
typedef int wandb_record(struct wandb_run *w, uint32_t kind, struct pb message,
                         struct err *err);

/* ---- wandb_items.c ---- */
/* The items with field number `field` of a message, and field 2 of a history's step. */
void wandb_row_read(struct wandb_row *row, struct pb message, uint32_t field);
void wandb_row_clear(struct wandb_row *row);
/* Items whose value is an object become an item for each of its members, as newer versions
 * write them. */
void wandb_row_expand(struct wandb_row *row);
/* Media are counted once each, and their items dropped. */
void wandb_row_drop_media(struct wandb_row *row, struct foreign *f);

/* ---- wandb_records.c ---- */
wandb_record wandb_facts, wandb_axis_values, wandb_history;
void wandb_run_release(struct wandb_run *w);

#endif
