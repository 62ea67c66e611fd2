/* cli/trial/cmd_tokenize.c - `peftlab tokenize`: text to ids and back, one JSON row per
 * line. */
#include "cli/command.h"
#include "cli/trial/row_lines.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/hub/gguf.h"
#include "runner/hub/hf_model.h"
#include "runner/text/tokenizer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "max_length", .type = OPT_INT, .preset = "0", .max = INT32_MAX, .metavar = "N",
     .help = "cut to N tokens, special ones included; 0: never"},
    {.key = "special", .type = OPT_BOOL, .preset = "true",
     .help = "put the special tokens around the text (--no-special: don't)"},
    {.key = "decode", .type = OPT_BOOL, .preset = "false",
     .help = "rows {\"ids\"} give {\"text\"}, special tokens left out"},
    {.key = "keep_special", .type = OPT_BOOL, .preset = "false",
     .help = "with --decode: keep the special tokens"},
};
/* clang-format on */
static const struct opt_table options = {"tokenize", rows, ARRAY_LEN(rows)};

struct job {
    struct tokenizer *t;
    int32_t max_length;
    bool special, decode, keep_special;
    struct encoding encoding; /* reused */
    struct buf out;           /* the line to print; reused */
};

/* MODEL is a tokenizer.json, a folder, a GGUF file, or a hub id in the models cache. */
static int load(const char *name, struct tokenizer **t, struct err *err)
{
    char *dir = NULL;
    int rc = 0;
    if (!fs_exists(name) || fs_is_dir(name) || gguf_is_file(name))
        rc = hf_model_find(name, &dir, err);
    if (rc >= 0)
        rc = hf_model_tokenizer(dir ? dir : name, t, err);
    if (rc >= 0 && !*t)
        rc = tokenizer_load(dir ? dir : name, t, err); /* says what is missing */
    free(dir);
    return rc;
}

static void put_ints(struct buf *b, const char *key, const int32_t *x, size_t n)
{
    buf_printf(b, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%" PRId32, i ? "," : "", x[i]);
    buf_char(b, ']');
}

static void put_encoding(struct job *j)
{
    const struct encoding *e = &j->encoding;
    struct buf *b = &j->out;
    buf_char(b, '{');
    put_ints(b, "ids", e->ids, e->n);
    buf_char(b, ',');
    put_ints(b, "type_ids", e->type_ids, e->n);
    buf_str_add(b, ",\"tokens\":[");
    for (size_t i = 0; i < e->n; i++) {
        const char *token = tokenizer_token(j->t, e->ids[i]);
        buf_str_add(b, i ? "," : "");
        json_put_string(b, token, strlen(token));
    }
    buf_str_add(b, "],\"offsets\":[");
    for (size_t i = 0; i < e->n; i++)
        buf_printf(b, "%s[%" PRId32 ",%" PRId32 "]", i ? "," : "", e->offsets[i][0],
                   e->offsets[i][1]);
    buf_str_add(b, "]}\n");
}

static int encode_row(struct job *j, const json_t *row, struct err *err)
{
    const json_t *text = json_object_get(row, "text");
    const json_t *pair = json_object_get(row, "text_pair");
    if (!json_is_string(text))
        return err_set(err, ERR_PARSE, text ? "'text' must be text" : "no key 'text'");
    if (pair && !json_is_null(pair) && !json_is_string(pair))
        return err_set(err, ERR_PARSE, "'text_pair' must be text");
    int rc = tokenizer_encode(j->t, json_string_value(text), json_string_length(text),
                              json_string_value(pair), json_string_length(pair),
                              j->max_length, j->special, &j->encoding, err);
    if (rc >= 0)
        put_encoding(j);
    return rc;
}

static int decode_row(struct job *j, const json_t *row, struct err *err)
{
    const json_t *list = json_object_get(row, "ids");
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return err_set(err, ERR_PARSE,
                       list ? "'ids' must be a list of integers" : "no key 'ids'");
    int32_t *ids = xmalloc((n + 1) * sizeof *ids);
    struct buf text = BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        const json_t *v = json_array_get(list, i);
        int64_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
            rc = err_set(err, ERR_PARSE, "'ids'[%zu] is not an id", i);
        ids[i] = (int32_t)id;
    }
    if (rc >= 0)
        rc = tokenizer_decode(j->t, ids, n, !j->keep_special, &text, err);
    if (rc >= 0) {
        buf_str_add(&j->out, "{\"text\":");
        json_put_string(&j->out, buf_str(&text), text.len);
        buf_str_add(&j->out, "}\n");
    }
    buf_release(&text);
    free(ids);
    return rc;
}

static int do_line(void *ctx, const struct buf *line, size_t number, struct err *err)
{
    struct job *j = ctx;
    if (buf_overflowed(line))
        return err_set(err, ERR_PARSE, "input: line %zu: longer than %zu MiB", number,
                       ROW_BYTES_MAX >> 20);
    if (row_line_blank(line))
        return 0;
    json_t *row = json_parse_line(line->data, line->len, "input", number, err);
    if (!row)
        return -ERR_PARSE;
    buf_clear(&j->out);
    int rc = j->decode ? decode_row(j, row, err) : encode_row(j, row, err);
    json_decref(row);
    if (rc < 0)
        return err_context(err, "input: line %zu: ", number);
    if (buf_overflowed(&j->out))
        return err_set(err, ERR_PARSE, "input: line %zu: the result is too long", number);
    fwrite(j->out.data, 1, j->out.len, stdout);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *model = NULL;
    size_t count = 0;
    json_t *values;
    bool done;
    int rc =
        command_parse(&cmd_tokenize, argc, argv, &values, &model, 1, &count, &done, err);
    if (rc < 0 || done) {
        json_decref(values);
        return rc;
    }
    struct job j = {
        .max_length = (int32_t)json_get_int(values, "max_length", 0),
        .special = json_get_bool(values, "special", 1),
        .decode = json_get_bool(values, "decode", 0),
        .keep_special = json_get_bool(values, "keep_special", 0),
        .out = BUF_INIT,
    };
    if (count == 0)
        rc = err_set(err, ERR_USAGE, "tokenize: which model? usage: peftlab %s",
                     cmd_tokenize.usage);
    else if ((rc = load(model, &j.t, err)) >= 0)
        rc = row_lines_each(do_line, &j, err);
    tokenizer_free(j.t);
    encoding_release(&j.encoding);
    buf_release(&j.out);
    json_decref(values);
    return rc;
}

const struct command cmd_tokenize = {
    .name = "tokenize",
    .usage = "tokenize MODEL [--max-length N] [--no-special] [--decode] < rows.jsonl",
    .help = "Turn rows of text into token ids, or ids into text.",
    .group = "Models and data",
    .options = &options,
    .run = run,
};
