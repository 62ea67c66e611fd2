/* tracker/view/row_results.h - what each row of a test set got from a trained model, as
 * the bytes of a file.
 *
 * The trainer writes one for each split that it judges by ("rows_eval.bin" and
 * "rows_test.bin" in the run's folder) and the store keeps a copy as the artifact
 * "rows/eval" (upkeep.h). The report reads them: with one score per run it can only tell
 * what other seeds would do, with the rows also what other rows would.
 *
 * Bytes, little endian: "peftrows", u32 version (1), kind, width, 0, u64 rows, SHA-256 of
 * the data file, SHA-256 of which of its rows these are and in which order; then the
 * columns of the kind, each for all rows. Rows of two runs may be paired where that last
 * hash is equal. A file has exactly the size that its head gives; classes lie below the
 * width, numbers are finite. Anything else is ERR_PARSE. */
#ifndef TRACKER_VIEW_ROW_RESULTS_H
#define TRACKER_VIEW_ROW_RESULTS_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a label is; stands in files, so the order stays. */
enum row_kind {
    ROW_class,   /* one class: width of them */
    ROW_numbers, /* width numbers */
    ROW_set,     /* any number of width labels */
    ROW_tokens,  /* a text, scored by its labelled tokens */
    ROW_texts,   /* the same, and by what the model wrote */
    ROW_KINDS
};

enum row_column {
    COLUMN_loss,      /* float: of the row; of tokens their sum, nats */
    COLUMN_predicted, /* uint16_t: class */
    COLUMN_label,     /* uint16_t: class */
    COLUMN_outputs,   /* float: width of them */
    COLUMN_targets,   /* float: width of them */
    COLUMN_said,      /* bits: width of them, in whole bytes, the first the lowest */
    COLUMN_truth,     /* bits, as above */
    COLUMN_tokens,    /* uint32_t: labelled ones */
    COLUMN_right,     /* uint32_t: predicted ones of these */
    COLUMN_exact, /* float: 1 the answer has the reference's words; -1: none was asked */
    COLUMN_rouge_l, /* float; -1: none was asked */
    ROW_COLUMNS
};

enum { ROWS_MAX = 1 << 24, ROWS_MAX_WIDTH = 1 << 16, ROWS_MAX_BYTES = 1 << 28 };

struct row_results {
    enum row_kind kind;
    uint32_t width;
    size_t count;
    char data_sha256[SHA256_HEX], rows_sha256[SHA256_HEX];
    void *columns[ROW_COLUMNS]; /* owned; NULL: the kind has none */
};

/* Room for the columns of kind, width and count, all 0; false: more than a file holds. */
bool row_results_init(struct row_results *r, enum row_kind kind, size_t width,
                      size_t count);
void row_results_release(struct row_results *r);
/* Sets both hashes: the rows are those in these lines of the file. */
void row_results_identify(struct row_results *r, const char *data_sha256,
                          const uint32_t *lines);
/* Bytes of one row in a column; 0: the kind has no such column. */
size_t row_column_bytes(enum row_kind kind, size_t width, enum row_column column);

void row_results_write(const struct row_results *r, struct buf *out);
int row_results_read(const void *data, size_t n, struct row_results *out,
                     struct err *err);

#endif
