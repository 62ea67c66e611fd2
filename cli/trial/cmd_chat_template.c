/* cli/trial/cmd_chat_template.c - `peftlab chat-template`: messages to the text that the
 * model sees, one JSON row per line. */
#include "cli/command.h"
#include "cli/trial/row_lines.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/chat/template.h"
#include "runner/data/language.h"
#include "runner/hub/hf_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "template", .type = OPT_PATH, .metavar = "FILE",
     .help = "a chat template (Jinja) instead of the model's own"},
    {.key = "now", .type = OPT_STRING, .metavar = "YYYY-MM-DD",
     .help = "the day that strftime_now tells, at midnight (default: this moment)"},
};
/* clang-format on */
static const struct opt_table options = {"chat-template", rows, ARRAY_LEN(rows)};

struct job {
    struct chat_template *t;
    struct tm now;
    struct jinja_output output; /* reused */
    struct buf out;             /* the line to print; reused */
};

static void put_row(struct job *j, bool spans)
{
    struct buf *b = &j->out;
    buf_str_add(b, "{\"text\":");
    json_put_string(b, buf_str(&j->output.text), j->output.text.len);
    if (spans) {
        buf_str_add(b, ",\"spans\":[");
        for (size_t i = 0; i < j->output.n_spans; i++)
            buf_printf(b, "%s[%zu,%zu]", i ? "," : "", j->output.spans[i][0],
                       j->output.spans[i][1]);
        buf_char(b, ']');
    }
    buf_str_add(b, "}\n");
}

static int render_line(struct job *j, const struct buf *line, size_t number,
                       struct err *err)
{
    if (buf_overflowed(line))
        return err_set(err, ERR_PARSE, "input: line %zu: longer than %zu MiB", number,
                       ROW_BYTES_MAX >> 20);
    json_t *row = json_parse_line(line->data, line->len, "input", number, err);
    if (!row)
        return err_code(err);
    int rc = chat_template_render(j->t, row, &j->now, &j->output, err);
    if (rc >= 0)
        put_row(j, chat_template_has_spans(j->t, row));
    json_decref(row);
    return rc;
}

/* A row that fails is a line too, and the others go on. */
static int do_line(void *ctx, const struct buf *line, size_t number, struct err *err)
{
    struct job *j = ctx;
    struct err failed = ERR_INIT;
    if (!buf_overflowed(line) && row_line_blank(line))
        return 0;
    buf_clear(&j->out);
    if (render_line(j, line, number, &failed) < 0) {
        buf_clear(&j->out);
        buf_str_add(&j->out, "{\"error\":");
        json_put_string(&j->out, failed.msg, strlen(failed.msg));
        buf_str_add(&j->out, "}\n");
    }
    if (fwrite(j->out.data, 1, j->out.len, stdout) != j->out.len)
        return err_set(err, ERR_IO, "cannot write the output");
    return 0;
}

/* MODEL is a folder, a GGUF file, or a hub id in the models cache. */
static int open_model(const char *name, const char *file, struct job *j, struct err *err)
{
    char *model = NULL;
    int rc = hf_model_find(name, &model, err);
    if (rc >= 0)
        rc = chat_template_open(model, file, &j->t, err);
    free(model);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *model = NULL, *day;
    size_t count = 0;
    json_t *values;
    bool done;
    int rc = command_parse(&cmd_chat_template, argc, argv, &values, &model, 1, &count,
                           &done, err);
    if (rc < 0 || done) {
        json_decref(values);
        return rc;
    }
    struct job j = {.out = BUF_INIT};
    time_t now = time(NULL);
    jinja_output_init(&j.output);
    localtime_r(&now, &j.now);
    if (count == 0)
        rc = err_set(err, ERR_USAGE, "chat-template: which model? usage: peftlab %s",
                     cmd_chat_template.usage);
    else if ((day = json_get_str(values, "now", NULL)))
        rc = language_parse_day(day, &j.now, err) < 0 ? err_context(err, "--now ") : 0;
    if (rc >= 0)
        rc = open_model(model, json_get_str(values, "template", NULL), &j, err);
    if (rc >= 0)
        rc = row_lines_each(do_line, &j, err);
    chat_template_free(j.t);
    jinja_output_release(&j.output);
    buf_release(&j.out);
    json_decref(values);
    return rc;
}

const struct command cmd_chat_template = {
    .name = "chat-template",
    .usage = "chat-template MODEL [--template FILE] [--now YYYY-MM-DD] < rows.jsonl",
    .help = "Turn rows of messages into the text that the model sees.",
    .group = "Models and data",
    .options = &options,
    .run = run,
};
