/* runner/data/look/look.h - what is in rows that nobody has described yet.
 *
 * A user has a file, and no names of ours in it. look_read takes it as it is (JSON lines,
 * .csv, .tsv; limits of lines.h) and counts, column by column, what the values are. look_guess says
 * what a trial could learn of it: which column is the text, which the second text, which
 * the label, and of what kind; what the user names himself is obeyed. look_same finds rows
 * that are there twice, in one file or in two. look_deal divides the rows of one file
 * into training, evaluation and test rows, so that each label has its share everywhere
 * and rows of the same text stay together: a test row that was trained on measures
 * memory.
 *
 * A guess is a rule that can be told in a sentence, not a model: names that data sets use
 * (text, review, label, category, sentence1 and sentence2, prompt and completion,
 * messages), then kinds and numbers of different values. Whatever it says it says aloud
 * (`why`), so that a wrong one is seen at once.
 *
 * A cell of a table is what it looks like: "3" is a whole number, "2.5" a fraction,
 * "[1, 2]" a list. Of JSON lines the types count, and a text that looks like a number is a
 * text. */
#ifndef RUNNER_DATA_LOOK_LOOK_H
#define RUNNER_DATA_LOOK_LOOK_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Values that are told apart; more are "many". */
#define LOOK_VALUES_MAX 1000

enum look_type {
    LOOK_text,
    LOOK_whole,
    LOOK_fraction,
    LOOK_list,
    LOOK_other,
    LOOK_TYPES
};

struct look_value {
    char *text; /* as JSON */
    size_t rows;
};

struct look_column {
    char *name;
    size_t filled; /* rows that have a value: no null, no blank */
    size_t types[LOOK_TYPES];
    struct look_value *values; /* the first LOOK_VALUES_MAX, the most frequent first */
    size_t value_count;
    bool many;
    double chars;       /* of all texts */
    double least, most; /* of all numbers; NaN: none */
};

struct look_file {
    char *path;
    bool table;
    json_t **rows; /* objects; of a table typed as above */
    size_t count;
    struct look_column *columns; /* in the order in which they come up */
    size_t column_count;
};

/* Release it also where these fail. look_parse: from memory; `name` stands for the file. */
int look_read(const char *path, struct look_file *out, struct err *err);
int look_parse(const char *text, size_t size, const char *name, struct look_file *out,
               struct err *err);
void look_release(struct look_file *f);
/* NULL: there is none of that name. */
const struct look_column *look_column(const struct look_file *f, const char *name);

#define LOOK_KINDS(X)                                                                    \
    X(classes, "a class for each text")                                                  \
    X(sets, "any number of labels for each text")                                        \
    X(numbers, "a number for each text")                                                 \
    X(messages, "conversations")                                                         \
    X(completions, "prompts and what follows them")                                      \
    X(texts, "texts alone")
enum look_kind {
#define X(name, words) LOOK_KIND_##name,
    LOOK_KINDS(X)
#undef X
        LOOK_KIND_COUNT
};
extern const char *const look_kind_words[LOOK_KIND_COUNT];

/* Names of columns, as the user gives them (NULL: to be found) or as they were found
 * (NULL: there is none). */
struct look_roles {
    const char *text, *pair, *label;
};
struct look_guess {
    enum look_kind kind;
    struct look_roles roles; /* borrowed from the file */
    char why[256];           /* "the texts are in 'review', the longest; ..." */
};
/* ERR_CONFIG where nothing can be made of it; the message names the columns there are. */
int look_guess(const struct look_file *f, const struct look_roles *given,
               struct look_guess *out, struct err *err);
/* Can a trial use row i: has it a text, and a label where one is needed? */
bool look_is_whole(const struct look_file *f, const struct look_guess *g, size_t i);
/* The text that a row is known by, without case and blanks; false: it has none. */
struct buf;
bool look_text_of(const struct look_file *f, const struct look_guess *g, size_t i,
                  struct buf *out);
/* Its label as JSON ("" without): what rows are counted and dealt by. */
void look_label_of(const struct look_file *f, const struct look_guess *g, size_t i,
                   struct buf *out);

struct look_same {
    size_t twice;    /* rows whose text an earlier row of the file has */
    size_t disagree; /* of these, with another label */
    size_t in_other; /* rows whose text is in the other file; 0 without one */
};
/* other: NULL, or rows of the same kind under the same names. */
void look_same(const struct look_file *f, const struct look_guess *g,
               const struct look_file *other, struct look_same *out);

enum look_part { LOOK_TRAIN, LOOK_EVAL, LOOK_TEST, LOOK_PARTS };
extern const char *const look_part_names[LOOK_PARTS]; /* "train", "dev", "test" */
/* Which part each row goes to, LOOK_PARTS: to none, it cannot be used. The shares of
 * evaluation and test are a fifth each, of `most` rows at the most. A function of rows and
 * seed. parts: room for f->count. */
void look_deal(const struct look_file *f, const struct look_guess *g, size_t most,
               uint64_t seed, enum look_part *parts);
/* Would a trial refuse the file as it is: are there rows that it cannot use, or labels of
 * several types? */
bool look_needs_copy(const struct look_file *f, const struct look_guess *g);
/* The rows of a part as JSON lines, under the names that a trial expects (text, text_pair,
 * label), labels of one type; all other columns are kept. parts NULL: all that can be
 * used. */
int look_write_part(const struct look_file *f, const struct look_guess *g,
                    const enum look_part *parts, enum look_part part, const char *path,
                    struct err *err);

#endif
