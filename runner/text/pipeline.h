/* runner/text/pipeline.h - the parts of a tokenizer (inside runner/text).
 *
 * A text under way is a list of code points, each with the stretch [begin, end) of the
 * original text that it stands for, in code points. The stages, in order:
 *   added tokens    cut out of the original text, leftmost and longest
 *   normaliser      rewrites the rest, keeping the places (text_rewrite)
 *   added tokens    those with "normalized": true, cut out of the normalised text
 *   pre-tokeniser   cuts it into words
 *   model           words to ids
 *   post-processor  templates that put special tokens around one or two sequences
 *   decoder         tokens back to text
 * Each stage has a table of kinds in its file, one row per "type" of tokenizer.json: a
 * function that reads the configuration and one that does the work. A new kind is a new
 * row. */
#ifndef RUNNER_TEXT_PIPELINE_H
#define RUNNER_TEXT_PIPELINE_H

#include "lib/hash.h"
#include "runner/text/tokenizer.h"
#include <jansson.h>

/* ---- text with places -------------------------------------------------------------- */

struct place_char {
    int32_t cp, begin, end;
};

struct text {
    struct place_char *at;
    size_t n, cap;
};

/* What becomes of a text. change 0: stands in the place of the next old character; 1: is
 * new, and shares the place of the one before; -k: as 0, and k further old characters
 * vanish (tokenizers' NormalizedString::transform). */
struct rewrite {
    struct edit {
        int32_t cp;
        int change;
    } * at;
    size_t n, cap;
};

int text_from_utf8(struct text *t, const char *s, size_t len, struct err *err);
void text_add(struct text *t, struct place_char c);
void text_copy(struct text *t, const struct place_char *at, size_t n);
void text_rewrite(struct text *t, const struct rewrite *r);
void text_release(struct text *t);
void rewrite_add(struct rewrite *r, int32_t cp, int change);
/* Appends `n` characters as UTF-8. */
void utf8_append(struct buf *out, const struct place_char *at, size_t n);

/* ---- parts ------------------------------------------------------------------------- */

/* What a row of a stage's table made of its configuration; release may be NULL (config is
 * then simply freed). */
struct normalizer {
    void *config;
    void (*apply)(const void *config, struct text *t, struct err *err);
    void (*release)(void *config);
};
int precompiled_normalizer(const json_t *json, struct normalizer *out, struct err *err);
int replace_normalizer(const json_t *json, struct normalizer *out, struct err *err);
int normalizer_parse(const json_t *json, struct normalizer *out, struct err *err);

struct span {
    size_t begin, end; /* characters of a text */
};
struct words { /* a text cut into words; a pre-tokeniser may rewrite both */
    struct text *text;
    struct span *at;
    size_t n, cap;
    struct err
        *err; /* gets what stops a pre-tokeniser; the words count for nothing then */
};
struct pre_tokenizer {
    void *config;
    void (*apply)(const void *config, struct words *w);
    void (*release)(void *config);
};
int pre_tokenizer_parse(const json_t *json, struct pre_tokenizer *out, struct err *err);
/* Cuts every word where is_cut says so; the characters at the cuts become words of their
 * own when `keep` is set, and vanish otherwise. Empty words vanish. */
void words_split(struct words *w, bool (*is_cut)(int32_t cp), bool keep);
void words_add(struct words *w, size_t begin, size_t end); /* nothing where empty */
/* Gives the words another text, whose characters `append` makes of each word. */
void words_rewrite(struct words *w, void (*append)(const struct place_char *at, size_t n,
                                                   struct text *out));

/* Cutting at matches, and what becomes of these (tokenizers' SplitDelimiterBehavior). */
enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS
};
struct regex;
/* invert: what does not match is the delimiter. */
void words_split_regex(struct words *w, const struct regex *r, enum split_behavior b,
                       bool invert);
/* What a stretch is cut into: matches and what lies between, in characters. */
struct cuts {
    struct cut {
        size_t begin, end;
        bool match;
    } * at;
    size_t n, cap;
};
void cuts_find(const struct regex *r, const struct place_char *at, size_t n, bool invert,
               struct cuts *out, struct err *err);
/* The "pattern" of Split and Replace: {"String": s} or {"Regex": s}. */
int pattern_parse(const json_t *json, const char *what, struct regex **out,
                  struct err *err);
/* Rows of other files. */
int metaspace_pre_tokenizer(const json_t *json, struct pre_tokenizer *out,
                            struct err *err);
int byte_level_pre_tokenizer(const json_t *json, struct pre_tokenizer *out,
                             struct err *err);
int split_pre_tokenizer(const json_t *json, struct pre_tokenizer *out, struct err *err);
int digits_pre_tokenizer(const json_t *json, struct pre_tokenizer *out, struct err *err);

/* Ids with their places, before the post-processor. */
struct tokens {
    struct token {
        int32_t id, begin, end;
        int32_t leading, trailing; /* blanks at its ends, where it was cut out of the text
                                      as an added token; -1: look into the vocabulary */
    } * at;
    size_t n, cap;
};
void tokens_add(struct tokens *t, int32_t id, int32_t begin, int32_t end);

struct model {
    void *config;
    void (*tokenize)(const void *config, const struct place_char *word, size_t n,
                     struct tokens *out);
    void (*release)(void *config);
};
/* Reads the model and its vocabulary into t->vocab. */
int model_parse(const json_t *json, struct tokenizer *t, struct err *err);
int bpe_parse(const json_t *json, struct tokenizer *t, struct err *err);
int unigram_parse(const json_t *json, struct tokenizer *t, struct err *err);

/* One piece of a template: a special token (id), or sequence 0 (A) or 1 (B). */
struct piece {
    int sequence; /* -1: special token */
    int32_t id, type_id;
};
struct template
{
    struct piece *at;
    size_t n, cap, specials;
};
struct post_processor {
    struct template templates[2]; /* for one sequence, for a pair */
    bool trim_offsets;            /* blanks at the ends of tokens leave their places */
    bool add_prefix_space; /* but the first token's blank is not of the text anyway */
};
/* Null JSON gives A and A B. */
int post_processor_parse(const json_t *json, const struct tokenizer *t,
                         struct post_processor *out, struct err *err);
/* Trims as byte_level.rs's process_offsets does. */
void byte_level_trim(const struct tokenizer *t, struct tokens *s);

/* Tokens on their way to text; decoders change them one after the other, and what is there
 * at the end is joined. */
struct strings {
    struct buf *at;
    size_t n, cap;
};
struct buf *strings_add(struct strings *s); /* an empty one at the end */
void strings_release(struct strings *s);

struct decoder {
    void *config;
    void (*decode)(const void *config, struct strings *tokens, struct err *err);
    void (*release)(void *config);
};
int metaspace_decoder(const json_t *json, struct decoder *out, struct err *err);
void buf_replace_all(struct buf *text, const char *from, const char *to);
int replace_decoder(const json_t *json, struct decoder *out, struct err *err);
void byte_level_decode(const void *config, struct strings *tokens, struct err *err);
int decoder_parse(const json_t *json, struct decoder *out, struct err *err);

/* ---- added tokens ------------------------------------------------------------------ */

struct added_token {
    char *content;
    int32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
    int32_t *pattern; /* what is searched: content, normalised where asked for */
    size_t length;    /* of pattern */
};
struct added_tokens {
    struct added_token *at;
    size_t n, cap;
    /* pattern order, one list for the raw and one for the normalised text */
    const struct added_token **sorted[2];
    size_t count[2];
};
struct match {
    const struct added_token *token; /* NULL: text between added tokens */
    size_t begin, end;
};
int added_tokens_parse(const json_t *json, struct tokenizer *t, struct err *err);
void added_tokens_release(struct added_tokens *a);
/* Cuts a text at the added tokens of one list; calls `each` for every stretch in
 * order. */
void added_tokens_split(const struct added_tokens *a, int normalized,
                        const struct place_char *at, size_t n,
                        void (*each)(void *user, const struct match *m), void *user);

/* ---- the whole --------------------------------------------------------------------- */

struct vocab {
    struct strmap *ids;
    char **tokens; /* by id; NULL where there is none */
    size_t size, cap;
    bool *special; /* by id */
};
/* Ids are below VOCAB_MAX. A token or an id that is there already is an error. */
#define VOCAB_MAX (1 << 22)
int vocab_add(struct vocab *v, const char *token, int64_t id, struct err *err);

#define SETTINGS_FILE "tokenizer_config.json"
/* What tokenizer_config.json says, as transformers (5.24) reads it. */
struct settings {
    int32_t max_length; /* model_max_length, or INT32_MAX */
    bool cut_left;      /* truncation_side */
    bool no_types;      /* model_input_names has no token_type_ids: all are 0 */
};
/* Changes the tree of tokenizer.json before it is parsed. */
int settings_apply(struct settings *s, const json_t *config, json_t *root,
                   struct err *err);
/* Refuses what the parsed tokenizer does otherwise. */
int settings_check(const json_t *config, const struct tokenizer *t, struct err *err);

struct tokenizer {
    struct vocab vocab;
    struct added_tokens added;
    struct normalizer normalizer;       /* apply NULL: none */
    struct pre_tokenizer pre_tokenizer; /* apply NULL: the text is one word */
    struct model model;
    struct post_processor post;
    struct decoder decoder; /* decode NULL: tokens joined by blanks */
    struct settings settings;
};

/* The type of a part ("what" is for the message); NULL with a message when it has
 * none. */
const char *part_type(const json_t *json, const char *what, struct err *err);
int part_unknown(const char *what, const char *type, struct err *err);

/* ---- Unicode ----------------------------------------------------------------------- */

bool unicode_is_space(int32_t cp);       /* White_Space */
bool unicode_is_word(int32_t cp);        /* \w of regular expressions */
bool unicode_is_punctuation(int32_t cp); /* these three: see unicode.def */
bool unicode_is_other(int32_t cp);
bool unicode_is_mark_nonspacing(int32_t cp);
bool unicode_is_numeric(int32_t cp); /* Nd, Nl, No */
/* NFD and NFC; compat: NFKD and NFKC. */
void unicode_decompose(struct text *t, bool compat);
void unicode_compose(struct text *t, bool compat);

#endif
