/* tracker/exchange/push_parts.h - what the files of the way to MLflow share (push*.c). */
#ifndef TRACKER_EXCHANGE_PUSH_PARTS_H
#define TRACKER_EXCHANGE_PUSH_PARTS_H

#include "lib/hash.h"
#include "tracker/exchange/push.h"

/* What a server takes (MLflow's own limits; a value's is that of older servers' tags). */
enum {
    PUSH_MAX_KEY = 250,
    PUSH_MAX_PARAM = 6000,
    PUSH_MAX_TAG = 5000,
    PUSH_BATCH_PARAMS = 100,
    PUSH_BATCH_METRICS = 1000,
    PUSH_MAX_ANSWER = 64 << 20
};
#define PUSH_TAG_ID   "peftlab.id"
#define PUSH_TAG_SENT "peftlab.sent"

struct push {
    struct store *store;
    const struct push_wish *wish;
    struct push_total *total;
    struct http *http;
    char *base;    /* the address without a '/' at its end */
    char code[64]; /* MLflow's word for why the last call was refused; "": it was not */
    const char *store_id;
    /* of the experiment at hand */
    char *experiment_id;
    json_t *known; /* {peftlab.id: {"run_id", "sent"}} */
};
void push_left_out(struct push *p, const char *what, size_t count);

/* ---- push_client.c ---- */
int push_open(struct push *p, struct err *err);
void push_close(struct push *p);
/* A route of MLflow's REST ("runs/create"); fields go as JSON, with GET as a query. *answer
 * may be NULL. A refusal is an error with the server's words, and its code in p->code. */
int push_get(struct push *p, const char *route, const json_t *fields, json_t **answer,
             struct err *err);
int push_post(struct push *p, const char *route, const json_t *fields, json_t **answer,
              struct err *err);
/* The same, tried once: it counts twice when it arrives twice. */
int push_post_once(struct push *p, const char *route, const json_t *fields,
                   json_t **answer, struct err *err);
/* PUT of a file to where the server keeps artifacts. */
int push_put_file(struct push *p, const char *place, const char *path, size_t size,
                  struct err *err);

/* ---- push_names.c ---- */
/* A name that MLflow takes, by which no two of `taken` are called (NULL: need not): those
 * that it takes as they are (push_name_stays) are to be given first, and keep theirs. Newly
 * allocated. */
char *push_name(const char *name, struct strmap *taken);
bool push_name_stays(const char *name);
/* The same of parts of a path. */
char *push_path(const char *name);
/* At most `max` bytes of a text, "..." at the end of one that was cut. */
char *push_cut(const char *text, size_t max);
/* A parameter's or a tag's value as text. */
char *push_text(const json_t *v);

/* ---- push_experiment.c ---- */
/* The experiment at hand is the one of this name, made there where there is none. */
int push_experiment(struct push *p, const char *name, struct err *err);

/* ---- push_run.c ---- */
/* What is sent of a run there. */
struct push_run {
    char *id;            /* peftlab.id */
    char *run_id, *root; /* there, once it is known; root: artifact_uri */
    const char *name;
    int64_t started_ms, ended_ms; /* ended_ms 0: has not */
    const char *status;
    json_t *tags, *params; /* {name: text} */
    bool was_there;
    json_t *there; /* {"params": {..}, "metrics": {name: true}} of one that was */
};
void push_run_release(struct push_run *r);
/* The run there, looked for and made where there is none. */
int push_run_take(struct push *p, struct push_run *r, struct err *err);
/* Its parameters and tags; the data that it read; its status and end. */
int push_run_fill(struct push *p, struct push_run *r, struct err *err);
int push_run_inputs(struct push *p, struct push_run *r, const json_t *trial,
                    struct err *err);
int push_run_end(struct push *p, struct push_run *r, const char *sent, struct err *err);

/* ---- push_values.c ---- */
/* Curves and results of a trial (an object of exchange.h). */
int push_values(struct push *p, struct push_run *r, const json_t *trial, struct err *err);

/* ---- push_files.c ---- */
int push_files(struct push *p, struct push_run *r, const json_t *trial, struct err *err);

#endif
