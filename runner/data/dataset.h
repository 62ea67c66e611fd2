/* runner/data/dataset.h - rows of a task, tokenised, with labels as class indices.
 *
 * JSON lines (depth, line length and count limited): {"text", "label"} (+ text_pair),
 * {"input_ids", "label"}; a name that ends in .csv or .tsv is a table with the same names
 * as columns (see table.h), its labels class numbers if all of them look so. String
 * labels become class indices by sorted name over the training file; the evaluation files
 * must use the same names. Integer labels are used as they are. Errors name file, line
 * and column of the table ("data file 'x': line 7: no key 'label'"). */
#ifndef RUNNER_DATA_DATASET_H
#define RUNNER_DATA_DATASET_H

#include "lib/err.h"
#include "runner/text/tokenizer.h"
#include <jansson.h>
#include <stdbool.h>

/* What the label of a row, or of a token, is. */
enum label_kind {
    LABEL_class,   /* one of the classes: cross entropy */
    LABEL_numbers, /* a number for each output: squared error */
    LABEL_set,     /* any number of the labels: binary cross entropy of each */
    LABEL_token,   /* the next token, out of the vocabulary: cross entropy */
    LABEL_KINDS
};

struct labels { /* names of the classes, labels or outputs; count 0 until known */
    char **names;
    size_t count;
    bool from_strings;
    char *source; /* the training file, for messages */
};
void labels_release(struct labels *l);
/* label2id or id2label of a config.json or head_config.json (`file`, for messages): count
 * 0 where there are none, or only those that transformers makes up ("LABEL_0"). */
int labels_of_model(struct labels *out, const json_t *config, const char *file,
                    struct err *err);

/* The same of an adapter's folder, from its head_config.json or config.json; *count (may be
 * NULL): how many that says there are, 0 where it does not. */
int labels_of_folder(struct labels *out, const char *dir, int64_t *count,
                     struct err *err);

struct example {
    int32_t *ids;
    int32_t *type_ids; /* NULL: zeros */
    int32_t n;
    int32_t cut;           /* tokens that max_length took from its end */
    uint32_t row;          /* of the file's rows (of its side of a split), from 0 */
    uint32_t line;         /* of the file, from 1: where it begins */
    bool dropped;          /* it teaches nothing, and is here for whoever looks at it */
    int32_t label;         /* class; 0 where there are targets */
    float *targets;        /* labels.count numbers; NULL: a class */
    int32_t *token_labels; /* class of each token, -1: none; NULL: one for all */
};

struct dataset {
    struct example *rows; /* NULL: assumed, all of `longest` tokens (assumed.h) */
    size_t count;
    size_t total_tokens;
    int32_t longest;
    size_t truncated, dropped; /* rows that were cut; that teach nothing, left out */
    json_t *notes;             /* texts: what one should know of it; NULL: nothing */
    char *path;
    char sha256[65]; /* of the file */
};

struct label_map;
/* How the label of a row is read, and first learned from all rows of the training file
 * (label_map.h). A task has one. */
struct reader;
struct label_reader {
    /* Reads whole rows, which have no column of labels: 1 where a row has nothing to learn
     * and is left out. NULL: the functions below. */
    int (*row)(struct reader *r, const json_t *row, struct example *e, struct err *err);
    bool list; /* always a list: what a table's cell holds is parsed */
    int (*learn)(struct label_map *m, enum label_kind kind, const json_t *label,
                 struct err *err);
    /* After the last row, also where one failed; NULL: nothing to do. */
    void (*finish)(struct reader *r, struct dataset *d);
    /* The tokens are read already. */
    int (*read)(const struct label_map *m, enum label_kind kind, const json_t *label,
                struct example *e, struct err *err);
};
extern const struct label_reader sequence_labels; /* one for the whole row */
extern const struct label_reader language_rows;   /* a label per token; language.h */

struct language;
struct data_spec {
    const char *text_column, *text_pair_column,
        *label_column;   /* NULL: text, text_pair, label */
    int32_t max_length;  /* tokens, special ones included */
    int64_t max_samples; /* 0: all; else the first of the file's rows in the order of the
                            seeded permutation */
    uint64_t seed;
    /* Share of the file's rows held out for evaluation, drawn by split_seed alone, so
     * that trials of any seed see the same; 0: none. `held_out` reads these rows, else
     * the others; both in file order. At least one row is on each side. */
    double held_out_share;
    uint64_t split_seed;
    bool held_out;
    bool assume_length;     /* without a tokenizer a text has max_length tokens */
    int32_t vocab_size;     /* ids of input_ids rows must be below */
    int32_t num_labels;     /* 0: from the data */
    enum label_kind labels; /* what they are */
    /* Names that the model has for its classes (labels_of_model); NULL: none. Where the
     * data's are among them they keep the model's numbers. must_fit: its head is used as it
     * is, so that other names are an error. */
    const struct labels *known;
    bool must_fit;
    bool untaught; /* there are no training rows: classes by name must be the model's */
    const struct label_reader *reader; /* NULL: sequence_labels */
    const struct language *language;   /* of language_rows; NULL: nothing is said */
    bool keep_dropped;                 /* rows that teach nothing stay, marked so */
};

/* `t` may be NULL when rows hold input_ids. `labels` with count 0 is filled (training
 * file), else it is obeyed. Rows that were cut to max_length are counted in *truncated
 * (may be NULL). */
int dataset_load(const char *path, const struct data_spec *spec,
                 const struct tokenizer *t, struct labels *labels, struct dataset **out,
                 size_t *truncated, struct err *err);
/* The same from memory; `name` stands for the file. */
int dataset_parse(const char *text, size_t size, const char *name,
                  const struct data_spec *spec, const struct tokenizer *t,
                  struct labels *labels, struct dataset **out, size_t *truncated,
                  struct err *err);
void dataset_free(struct dataset *d);

/* Bins of rows (bins.h), by their numbers here; rows that teach nothing are in none. */
struct bins;
void dataset_pack(const struct dataset *d, int32_t capacity, struct bins *out);
/* Adds a text to the notes. */
void dataset_note(struct dataset *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Order of rows in an epoch: file order when shuffle is off, else a permutation from
 * (seed, epoch). */
void dataset_order(const struct dataset *d, bool shuffle, uint64_t seed, uint64_t epoch,
                   uint32_t *order);

#endif
