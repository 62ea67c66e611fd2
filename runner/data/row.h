/* runner/data/row.h - one row of a data file, a JSON line or a record of a table, into
 * tokens and a label (inside runner/data).
 *
 * Tokens come from "input_ids" (with "token_type_ids"; "attention_mask" may say that the
 * last ones are padding), or from the text columns by the
 * model's tokenizer. Errors name file and line. */
#ifndef RUNNER_DATA_ROW_H
#define RUNNER_DATA_ROW_H

#include "runner/data/dataset.h"
#include "runner/data/label_map.h"
#include "runner/data/lines.h"
#include "runner/data/table.h"

/* What reading one file needs in every function. */
struct reader {
    const char *path;
    char *what; /* "data file 'x'" */
    const struct data_spec *spec;
    const struct tokenizer *tokenizer;
    struct lines lines;
    struct table table;  /* count 0: JSON lines */
    bool integer_labels; /* of a table */
    struct label_map labels;
    struct encoding encoding; /* reused from row to row */
    size_t truncated, left_out;
    size_t line; /* of the row that is read */

    /* Of language_rows. */
    struct conversation *conversation; /* NULL: no row was one yet */
    bool *learned;                     /* per token of the encoding */
    size_t learned_cap;
    size_t texts, split_prompts, first_split; /* rows; the line of the first */
    bool ends_learned;                        /* in some row the end of a turn is */
};

/* Parses line i into an object (a new reference in *row, also with an error) and finds its
 * label, which is the row's. */
int row_parse(const struct reader *r, size_t i, json_t **row, const json_t **label,
              struct err *err);
/* Line i as an example; what it holds is released with the data set. */
int row_read(struct reader *r, size_t i, struct example *e, struct err *err);

/* Parts of row_read for readers of whole rows. Array of integers in 0..limit-1 (limit 0:
 * any that fits); the token ids of a row; a text, which may be absent where it is not
 * required. */
int row_ints(const json_t *array, const char *key, int64_t limit, int32_t **out,
             int32_t *count, struct err *err);
int row_ids(struct reader *r, const json_t *row, struct example *e, struct err *err);
int row_text(const json_t *row, const char *column, bool required, const json_t **out,
             struct err *err);

/* The name of the label's column, and how labels are read. */
const char *reader_label(const struct data_spec *s);
const struct label_reader *reader_labels(const struct data_spec *s);
/* Puts file and line i in front of the error. */
int reader_at_line(const struct reader *r, size_t i, struct err *err);

#endif
