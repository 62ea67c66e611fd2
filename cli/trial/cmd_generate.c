/* cli/trial/cmd_generate.c - `peftlab generate`: rows of prompts to texts, a line each, in
 * order. */
#include "cli/trial/row_lines.h"
#include "cli/trial/text_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text_table.h"
#include "runner/generate/generator.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def rows[] = {
    TEXT_OPTIONS,
    {.key = "batch_size", .type = OPT_INT, .preset = "8", .min = 1, .max = 4096,
     .group = "generation", .metavar = "N", .help = "texts at the same time; changes none"},
    {.key = "ignore_eos", .type = OPT_BOOL, .preset = "false", .group = "generation",
     .help = "go on behind end tokens"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"generate", rows, ARRAY_LEN(rows)};

struct row {
    char *error; /* NULL: there is a text */
    int32_t *ids;
    size_t text; /* number of its text */
    bool done;
};

struct job {
    struct text_command c;
    bool json;
    struct row *rows;
    size_t count, cap, printed;
    struct generation *texts;
    size_t n_texts;
    struct buf text, out; /* reused */
    struct err failed;    /* of printing */
};

/* --- rows in --- */

/* A row that cannot be has its message in place of a text. */
static int add_row(void *ctx, const struct buf *line, size_t number, struct err *err)
{
    (void)err;
    struct job *j = ctx;
    struct err bad = ERR_INIT;
    struct row row = {0};
    int32_t n = 0;
    json_t *tree = NULL;
    if (!buf_overflowed(line) && row_line_blank(line))
        return 0;
    if (buf_overflowed(line))
        err_set(&bad, ERR_PARSE, "input: line %zu: longer than %zu MiB", number,
                ROW_BYTES_MAX >> 20);
    else if ((tree = json_parse_line(line->data, line->len, "input", number, &bad)) &&
             prompter_row(&j->c.prompter, tree, &row.ids, &n, &bad) < 0)
        err_context(&bad, "input: line %zu: ", number);
    json_decref(tree);
    j->rows = xgrow(j->rows, &j->cap, j->count + 1, sizeof *j->rows);
    if (bad.code) {
        row.error = xstrdup(bad.msg);
        row.done = true;
    } else {
        const int64_t asked = json_get_int(j->c.values, "max_new_tokens", 1);
        const int32_t room = generator_room(&j->c.session) - n;
        row.text = j->n_texts++;
        j->texts = xrealloc(j->texts, j->n_texts * sizeof *j->texts);
        j->texts[row.text] =
            (struct generation){.prompt = row.ids,
                                .n_prompt = n,
                                .most = asked < room ? (int32_t)asked : room,
                                .stream = j->count};
    }
    j->rows[j->count++] = row;
    return 0;
}

/* --- texts out --- */

static void put_text(struct job *j, const struct generation *g)
{
    const struct tokenizer *t = j->c.session.tokenizer;
    struct buf *b = &j->out;
    buf_clear(&j->text);
    if (t)
        tokenizer_decode(t, g->ids, (size_t)g->n, true, &j->text, NULL);
    if (!j->json) {
        buf_str_add(b, buf_str(&j->text));
        return;
    }
    buf_str_add(b, "{\"ids\":[");
    for (int32_t i = 0; i < g->n; i++)
        buf_printf(b, "%s%d", i ? "," : "", g->ids[i]);
    buf_str_add(b, "],\"text\":");
    if (t)
        json_put_string(b, buf_str(&j->text), j->text.len);
    else
        buf_str_add(b, "null");
    buf_printf(b,
               ",\"finish_reason\":\"%s\",\"prompt_tokens\":%d,\"completion_tokens\":%d}",
               g->stopped ? "stop" : "length", g->n_prompt, g->n);
}

static void put_error(struct job *j, const char *message)
{
    if (!j->json) {
        text_print(stderr, "peftlab: %s\n", message);
        return;
    }
    buf_str_add(&j->out, "{\"error\":");
    json_put_string(&j->out, message, strlen(message));
    buf_char(&j->out, '}');
}

/* Rows that are done, up to the first that is not. */
static void print_done(struct job *j)
{
    while (j->printed < j->count && j->rows[j->printed].done) {
        struct row *row = &j->rows[j->printed++];
        buf_clear(&j->out);
        if (row->error)
            put_error(j, row->error);
        else
            put_text(j, &j->texts[row->text]);
        if (j->json)
            printf("%s\n", buf_str(&j->out));
        else
            text_print(stdout, "%s\n", buf_str(&j->out));
        if (fflush(stdout) && !j->failed.code)
            err_set(&j->failed, ERR_IO, "cannot write the output: %s", strerror(errno));
    }
}

static bool heard(void *ctx, const struct generation *text)
{
    struct job *j = ctx;
    if (!text->stopped && text->n < text->most)
        return !j->failed.code;
    j->rows[text->stream].done = true;
    print_done(j);
    return !j->failed.code;
}

/* --- between --- */

#define PIECE 256 /* tokens of prompts read at a time */

static struct decode_size size_of(const struct job *j)
{
    const int64_t batch = json_get_int(j->c.values, "batch_size", 1);
    struct decode_size size = {
        .sequences = (int32_t)(j->n_texts < (size_t)batch ? j->n_texts : (size_t)batch)};
    int64_t longest = 0;
    for (size_t i = 0; i < j->n_texts; i++) {
        const struct generation *g = &j->texts[i];
        const int32_t n = generator_length(&j->c.session, g->n_prompt, g->most);
        size.capacity = n > size.capacity ? n : size.capacity;
        longest = g->n_prompt > longest ? g->n_prompt : longest;
    }
    longest += j->c.session.net.change.prompt_rows;
    longest *= size.sequences;
    size.tokens = (int32_t)(longest < PIECE ? longest : PIECE);
    if (size.tokens < size.sequences)
        size.tokens = size.sequences;
    return size;
}

static void tell_speed(const struct job *j)
{
    int64_t prompt = 0, new = 0, behind = 0;
    double reading = 0, going_on = 0, begin = INFINITY, end = 0;
    for (size_t i = 0; i < j->n_texts; i++) {
        const struct generation *g = &j->texts[i];
        prompt += g->n_prompt;
        new += g->n;
        behind += g->n - 1;
        reading += g->first_s - g->begin_s;
        going_on += g->end_s - g->first_s;
        begin = fmin(begin, g->begin_s);
        end = fmax(end, g->end_s);
    }
    text_print(stderr,
               "peftlab: %zu text%s, %lld prompt tokens, %lld new ones in %.2f s (%.1f "
               "tokens/s); first token after %.1f ms, then %.2f ms each\n",
               j->n_texts, j->n_texts == 1 ? "" : "s", (long long)prompt, (long long)new,
               end - begin, (double)new / fmax(end - begin, 1e-9),
               1e3 * reading / (double)j->n_texts,
               1e3 * going_on / (double)(behind ? behind : 1));
}

static int generate(struct job *j, struct err *err)
{
    struct generator g;
    j->c.session.decode = size_of(j);
    const bool endless = json_get_bool(j->c.values, "ignore_eos", 0);
    int rc = session_plan_memory(&j->c.session, err);
    if (!rc)
        rc = session_allocate(&j->c.session, err);
    if (rc)
        return rc;
    generator_init(&g, &j->c.session, &j->c.sampling, j->c.prompter.stops,
                   endless ? 0 : j->c.prompter.n_stops);
    rc = generator_run(&g, j->texts, j->n_texts, heard, j, err);
    generator_release(&g);
    if (!rc && j->failed.code)
        rc = err_set(err, j->failed.code, "%s", j->failed.msg);
    if (!rc)
        tell_speed(j);
    return rc;
}

static void release(struct job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        free(j->rows[i].error);
        free(j->rows[i].ids);
    }
    for (size_t i = 0; i < j->n_texts; i++)
        generation_release(&j->texts[i]);
    free(j->rows);
    free(j->texts);
    buf_release(&j->text);
    buf_release(&j->out);
    text_command_release(&j->c);
}

static int run(int argc, char **argv, struct err *err)
{
    struct job j = {.text = BUF_INIT, .out = BUF_INIT, .failed = ERR_INIT};
    int rc = text_command_open(&j.c, &cmd_generate, argc, argv, err);
    if (!rc && !j.c.done) {
        j.json = json_get_bool(j.c.values, "json", 0);
        rc = row_lines_each(add_row, &j, err);
        if (!rc)
            print_done(&j);
        if (!rc && j.n_texts)
            rc = generate(&j, err);
    }
    release(&j);
    return rc;
}

const struct command cmd_generate = {
    .name = "generate",
    .usage = "generate MODEL-or-TRIAL [key=value ...] [--adapter DIR] < rows.jsonl",
    .help = "Go on with texts, messages or token ids: a text per row.",
    .group = "Trials",
    .options = &options,
    .run = run,
};
