/* runner/session.h - everything one trial needs in this process: files, data, net,
 * graphs, memory.
 *
 * session_open reads files and plans; nothing large is taken. `planned` is then exact.
 * session_allocate takes each category once, by its planned bytes, and puts the start
 * values in place. What both the trainer and the evaluation use is here; what only one of
 * them needs is in train.c and evaluate.c. */
#ifndef RUNNER_SESSION_H
#define RUNNER_SESSION_H

#include "runner/cache/cache.h"
#include "runner/data/assumed.h"
#include "runner/data/course.h"
#include "runner/data/dataset.h"
#include "runner/data/language.h"
#include "runner/memory.h"
#include "runner/nn/net.h"
#include "runner/optim/groups.h"
#include "runner/pack/pack.h"
#include "runner/task/task.h"
#include "runner/text/tokenizer.h"
#include <jansson.h>

/* general: texts that have nothing to do with the task; what is lost on them is forgotten */
enum { SPLIT_TRAIN, SPLIT_EVAL, SPLIT_TEST, SPLIT_GENERAL, SPLIT_COUNT };
extern const char *const split_names[SPLIT_COUNT]; /* "train", "eval", ... */

/* What texts are generated with. */
struct decode_size {
    int32_t sequences; /* at the same time; 0: none are generated */
    int32_t capacity;  /* of each in tokens, virtual ones and what comes new among them */
    int32_t tokens;    /* read in one run at most, of all of them */
};

/* Of the frozen weights those that lie in the cache (runner/cache), not in the arena: packed
 * once, mapped by all that train on the same base. On the host only, and what follows from
 * the base alone; bytes are the same either way. */
struct weights {
    struct cache *cache;
    char *sources;               /* what all keys begin with */
    char **keys;                 /* of a parameter; NULL: it is not among them */
    struct cache_entry *entries; /* of a parameter */
    bool *owned;    /* of a parameter in a pack: the entry is no longer its */
    size_t outside; /* bytes of all that are not in the arena */
};

struct session {
    struct trial trial;
    const char *base_dir;
    bool training;
    bool decoding;  /* and nothing else: no rows, every base parameter frozen */
    bool only_rows; /* nothing but the data is opened */
    /* The largest batch of a base that is served (serve/base.h); none: it is no such
     * base. */
    struct extent serves;
    enum assume assume; /* what is not needed: it is only planned */
    const struct backend *backend;
    struct hf_model *hf;
    json_t *hashes; /* of the files that it was opened from (fingerprint.h): they may
                       change while it trains; owned */
    const struct arch *arch;
    struct tokenizer *tokenizer; /* NULL: rows hold ids */
    struct language language;    /* what rows of a language model mean */
    struct labels labels;
    struct labels known_labels; /* of the model or the adapter, see labels_of_model */
    bool head_is_used;          /* the base is evaluated with the head that it has */
    struct dataset *data[SPLIT_COUNT];
    size_t truncated_rows;
    int32_t row_tokens; /* most that a row of text has: max_length, or the model's */
    struct net net;
    struct course course;
    struct graph train_graph, eval_graph; /* train_graph only where `training` */
    struct graph merged_graph; /* the base alone: to measure merged weights after a
                                  training; no nodes where they cannot be put in place */
    struct decode_size decode;
    struct graph start_graph,
        decode_graph;     /* where texts are generated: what comes before
                                               a sequence, its tokens */
    struct extent budget; /* of the batch buffers, the largest of all graphs */

    struct goal goal;     /* num_labels: once the data is known */
    float *class_weights; /* of the loss, num_labels; NULL: all 1 */

    const struct optimizer *optimizer;
    struct param_group *groups;
    size_t group_count;
    size_t trainable_floats; /* padded; copies (train/kept.h) lie behind them */
    size_t scalars_offset;   /* of an F64 in the batch arena */

    size_t planned[MEM_COUNT];
    void *arena[MEM_COUNT];
    size_t allocated[MEM_COUNT];
    struct pack_seat seat; /* of a trial beside others in this process */
    struct weights weights;
    size_t shared_bytes; /* of what is allocated: mapped, by others too */
    int64_t host_bytes;  /* resident before that: program, tokenizer, rows */
    struct graph_memory memory;
    int32_t *host_batch[SLOT_COUNT];
    float *host_targets;
    struct features *features[SPLIT_COUNT]; /* features.h; NULL: a split has none */
    struct cache *feature_cache;            /* where trials share them; NULL: nowhere */
};

/* `adapter`: folder to start from instead of init_adapter, NULL: init_adapter. training:
 * also what training needs. The resolved tree must outlive the session. Close it also
 * where this fails. */
int session_open(struct session *s, const json_t *resolved, const char *base_dir,
                 const char *adapter, bool training, struct err *err);
/* For `planned` alone: a training of which some may not be here. `on`: the backend to plan
 * for, also a table without ops (backend_planned_cuda); NULL: the one that would train. */
int session_plan(struct session *s, const json_t *resolved, const char *base_dir,
                 enum assume assume, const struct backend *on, struct err *err);
/* A base that many adapters share (serve/base.h), for batches up to `most`: eval_graph is
 * what their graphs are laid over. Reads no rows. */
int session_open_base(struct session *s, const json_t *resolved, const char *base_dir,
                      struct extent most, struct err *err);
/* The same of a language model, for texts: decode_graph is what is laid under. */
int session_open_writer(struct session *s, const json_t *resolved, const char *base_dir,
                        struct decode_size size, struct err *err);
/* To generate from a model and an adapter (NULL: init_adapter, and without that the base
 * alone, whatever the trial's method). Reads no rows and plans nothing yet: their lengths
 * give `decode`, then session_plan_memory follows. */
int session_open_decoder(struct session *s, const json_t *resolved, const char *base_dir,
                         const char *adapter, struct err *err);
/* For the rows of its splits alone, those that teach nothing too: of the model only
 * configuration and tokenizer are needed. */
int session_open_rows(struct session *s, const json_t *resolved, const char *base_dir,
                      struct err *err);
/* session_plan.c: records the graphs and fills `planned`. */
int session_plan_memory(struct session *s, struct err *err);
/* Records what a net's method puts in front of a sequence before anything is read, into the
 * cache that `decode` is recorded for; no nodes: nothing. */
void session_record_start(struct net *net, const struct graph *decode,
                          struct graph *start);
int session_allocate(struct session *s, struct err *err);
/* session_weights.c: decides which weights are taken from the cache, once it is known what
 * they start from; puts a parameter into memory; before a frozen one is written to; end. */
void session_share_weights(struct session *s);
/* Of what is planned: frozen weights that trials of one process have once, and what tells
 * those apart that would not share them. */
size_t session_base_bytes(const struct session *s, char base[SHA256_HEX]);
int session_put_param(struct session *s, size_t i, struct err *err);
int session_own_param(struct session *s, const struct param *p, struct err *err);
void session_release_weights(struct session *s);
/* Rounds what trains as numbers of bf16 (adapter_dtype): in MEM_trainable the parameters,
 * in MEM_gradients their gradients. */
void session_round(const struct session *s, enum mem_category in);
void session_close(struct session *s);
/* In a pack (pack/pack.h) a trial computes, and has activations and workspace, between
 * these two alone. `only`: while no other does. pass: lets others go first, where there
 * are some. In no pack nothing happens. */
int session_turn_take(struct session *s, bool only, struct err *err);
void session_turn_give(struct session *s);
int session_turn_pass(struct session *s, bool only, struct err *err);
size_t session_planned_bytes(const struct session *s);

/* Puts rows of a split into the batch buffers and uploads them; row numbers through
 * `order` (NULL: as they are). Returns what there is of them. */
struct extent session_load_batch(struct session *s, int split, const uint32_t *order,
                                 int64_t begin, int64_t end);

/* Puts a row's tokens, virtual ones first, into the slots ids, positions and type_ids from
 * token `at` on. Returns the token behind it. */
int32_t batch_put_row(const struct net *net, const struct example *e, int32_t at,
                      int32_t *const slots[SLOT_COUNT]);

/* Uploads the batch buffers as far as they are filled. */
void session_upload(struct session *s, const struct extent *filled);

/* Rows of logits that the rows [begin, end) of a split give. */
int64_t session_picks(const struct session *s, int split, int64_t begin, int64_t end);

/* session_data.c: opens the splits that the trial names; refuses rows that the model has
 * no place for. */
int session_open_data(struct session *s, struct err *err);
int session_check_rows(const struct session *s, struct err *err);
/* Without training data classes are those that the model or the adapter has: as many, and
 * by the names that it has for them; a number of classes that it does not tell is told by
 * num_labels, or by the rows. */
int32_t session_classes_of_model(const struct session *s);

/* class_weights.c: reads the trial's `class_weights` (training only) and adds them as a
 * constant of the net. */
#define CLASS_WEIGHTS "class_weights"
int class_weights_read(struct session *s, struct err *err);
/* Sum of the weights of rows [begin, end) of the training data, their number where there
 * are no weights: what the sum of an update's losses is divided by. */
double class_weights_sum(const struct session *s, const uint32_t *order, int64_t begin,
                         int64_t end);

#endif
