/* tracker/foreign/tensorboard_parts.h - what the files of the TensorBoard reader share
 * (tensorboard*.c).
 *
 * A folder with event files is a run; its files follow one another by name. A tag's values
 * in a later file replace those of earlier files from the later one's first step on (a run
 * that was restarted from a checkpoint writes these steps again).
 *
 * Scalars come as `simple_value` (TensorFlow 1, torch, tensorboardX) or as a tensor of one
 * element (TensorFlow 2). A float of 32 bits becomes the shortest decimal number that is
 * the same float: 0.1, not 0.10000000149. Configurations come as texts that hold a JSON
 * object (transformers' "args", others under their tag) and by the hparams plug-in, which
 * writes a folder of its own: where it is the only one below a run's folder, what it holds
 * is the run's, its scalars the run's summary. Keras writes RUN/train and RUN/validation,
 * TensorFlow 1's estimators RUN and RUN/eval: one run, whose metrics are called train/... and
 * eval/... by the folder. What add_scalars writes into folders are curves of the run above. */
#ifndef TRACKER_FOREIGN_TENSORBOARD_PARTS_H
#define TRACKER_FOREIGN_TENSORBOARD_PARTS_H

#include "lib/wire/protobuf.h"
#include "tracker/foreign/foreign_run.h"

struct event_run {
    struct foreign_run run;
    size_t *last_file; /* of each series: the file that its newest value came from */
    size_t last_file_cap, file;
    bool only_summary; /* the file is of the hparams plug-in's own folder */
    bool growing;      /* somebody writes one of its files */
    const char *split; /* in front of the names in the file; NULL: nothing */
    const char *alias; /* instead of them; NULL: they stay */
    bool ended;        /* hparams said so */
    size_t events, bad_records;
};

/* ---- tensorboard_events.c ---- */
int event_take(struct event_run *e, struct pb event, struct err *err);
/* Does the event belong to the hparams plug-in? Sets *tag, where it is NULL, to the tag of
 * its first value, newly allocated. */
bool event_look(struct pb event, char **tag);

/* ---- tensorboard_values.c ---- */
/* A tensor of one number. */
bool tensor_number(struct pb tensor, double *out);
/* The one text of a tensor of texts; false where it holds none. */
bool tensor_text(struct pb tensor, struct pb_field *out);
double shortest_of_float(double v);

#endif
