/* tracker/store/labels.h - what users write on trials and sweeps: tags (key and value,
 * one value per key) and notes (any text). Anything may be tagged at any time, also while
 * it runs. */
#ifndef TRACKER_STORE_LABELS_H
#define TRACKER_STORE_LABELS_H

#include "tracker/store/store.h"

/* value NULL takes the tag away (which need not be there). ERR_NOINPUT: no such trial. */
int store_tag(struct store *s, int64_t trial, const char *key, const char *value,
              struct err *err);
/* Text "" or NULL takes the note away. */
int store_note_trial(struct store *s, int64_t trial, const char *text, struct err *err);
int store_note_sweep(struct store *s, int64_t sweep, const char *text, struct err *err);

#endif
