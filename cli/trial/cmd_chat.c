/* cli/trial/cmd_chat.c - `peftlab chat`: a conversation on the terminal, or line by line
 * from a pipe.
 *
 * Each answer is generated from the whole conversation by the chat template; what of it
 * the cache holds already is not read again (generator.h). It is shown as it comes, by
 * whole characters. */
#include "cli/trial/row_lines.h"
#include "cli/trial/text_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/generate/generator.h"
#include "runner/generate/spelling.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 256 /* tokens of a prompt read at a time */

/* clang-format off */
static const struct opt_def rows[] = {
    TEXT_OPTIONS,
    {.key = "system", .type = OPT_STRING, .group = "input", .metavar = "TEXT",
     .help = "the system message at the start"},
    {.key = "context", .type = OPT_INT, .preset = "4096", .min = 16, .max = 1 << 24,
     .group = "generation", .metavar = "N",
     .help = "tokens of the whole conversation, at most the model's positions"},
};
/* clang-format on */
static const struct opt_table options = {"chat", rows, ARRAY_LEN(rows)};

struct chat {
    struct text_command c;
    struct generator generator;
    json_t *messages;
    char *system; /* NULL: none */
    bool terminal;
    struct spelling answer; /* so far */
    size_t shown;           /* bytes of it */
    int64_t tokens, answers;
    double seconds, first_s; /* behind first tokens; until them */
};

/* --- Ctrl-C --- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* While an answer comes it ends that; else the program. */
static void catch_interrupt(bool on)
{
    struct sigaction a = {.sa_handler = on ? on_interrupt : SIG_DFL};
    sigemptyset(&a.sa_mask);
    interrupted = 0;
    sigaction(SIGINT, &a, NULL);
}

/* --- the answer as it comes --- */

static void show(struct chat *c)
{
    const size_t until = spelling_ready(&c->answer);
    if (until > c->shown) {
        text_print(stdout, "%.*s", (int)(until - c->shown),
                   c->answer.text.data + c->shown);
        fflush(stdout);
        c->shown = until;
    }
}

static bool heard(void *ctx, const struct generation *text)
{
    struct chat *c = ctx;
    spelling_add(&c->answer, text->ids[text->n - 1], false);
    show(c);
    return !interrupted && !ferror(stdout);
}

static void add_message(struct chat *c, const char *role, const char *text, size_t len)
{
    json_t *content = json_stringn(text, len);
    if (!content) /* no UTF-8 */
        content = json_string("");
    json_array_append_new(c->messages,
                          json_pack("{s:s, s:o}", "role", role, "content", content));
}

static int answer(struct chat *c, struct err *err)
{
    const int64_t asked = json_get_int(c->c.values, "max_new_tokens", 1);
    json_t *row = json_pack("{s:O}", "messages", c->messages);
    struct generation text = {.stream = (uint64_t)c->answers};
    int32_t *ids = NULL, n = 0;
    int rc = prompter_row(&c->c.prompter, row, &ids, &n, err);
    const int32_t room =
        c->c.session.decode.capacity - generator_length(&c->c.session, n, 0);
    json_decref(row);
    if (!rc && room < 1)
        rc = err_set(err, ERR_CONFIG,
                     "the conversation has %d tokens, there is room for %d: /reset "
                     "begins anew",
                     n, n + room);
    if (!rc) {
        text.prompt = ids;
        text.n_prompt = n;
        text.most = asked < room ? (int32_t)asked : room;
        spelling_init(&c->answer, c->c.session.tokenizer, NULL, 0);
        c->shown = 0;
        catch_interrupt(true);
        rc = generator_run(&c->generator, &text, 1, heard, c, err);
        catch_interrupt(false);
        spelling_end(&c->answer);
        show(c);
        text_print(stdout, "\n");
        c->tokens += text.n;
        c->answers++;
        c->first_s += text.first_s - text.begin_s;
        c->seconds += text.end_s - text.first_s;
    }
    if (!rc)
        add_message(c, "assistant", buf_str(&c->answer.text), c->answer.text.len);
    spelling_release(&c->answer);
    generation_release(&text);
    free(ids);
    return rc;
}

/* --- what the user says --- */

static void reset(struct chat *c)
{
    json_array_clear(c->messages);
    if (c->system)
        add_message(c, "system", c->system, strlen(c->system));
}

/* *done: that was the end. */
static void command(struct chat *c, const char *line, bool *done)
{
    if (str_eq(line, "/quit")) {
        *done = true;
    } else if (str_eq(line, "/reset")) {
        reset(c);
    } else if (str_eq(line, "/system") || str_has_prefix(line, "/system ")) {
        const char *text = line + strlen("/system");
        free(c->system);
        c->system = *text && text[1] ? xstrdup(text + 1) : NULL;
        reset(c);
    } else {
        text_print(stderr,
                   "peftlab: '%s' is no command: /reset forgets the conversation, "
                   "/system TEXT begins one with a system message, /quit ends\n",
                   line);
    }
}

/* A turn that failed is taken back, so that the conversation goes on without it; what no
 * further turn can change ends it. */
static int say(struct chat *c, const struct buf *line, struct err *err)
{
    struct err bad = ERR_INIT;
    add_message(c, "user", line->data, line->len);
    if (!answer(c, &bad))
        return 0;
    if (bad.code != ERR_PARSE && bad.code != ERR_CONFIG)
        return err_set(err, bad.code, "%s", bad.msg);
    json_array_remove(c->messages, json_array_size(c->messages) - 1);
    text_print(stderr, "peftlab: %s\n", bad.msg);
    return 0;
}

static int talk(struct chat *c, struct err *err)
{
    struct buf line;
    bool done = false;
    int rc = 0;
    buf_init(&line, ROW_BYTES_MAX);
    reset(c);
    while (!rc && !done) {
        if (c->terminal)
            text_print(stdout, "> ");
        fflush(stdout);
        if (!row_line(stdin, &line))
            break;
        if (buf_overflowed(&line))
            rc = err_set(err, ERR_PARSE, "input: a line longer than %zu MiB",
                         ROW_BYTES_MAX >> 20);
        else if (row_line_blank(&line))
            continue;
        else if (line.data[0] == '/')
            command(c, buf_str(&line), &done);
        else
            rc = say(c, &line, err);
        if (!rc && ferror(stdout))
            rc = err_set(err, ERR_IO, "cannot write the output: %s", strerror(errno));
    }
    buf_release(&line);
    if (!rc && ferror(stdin))
        rc = err_set(err, ERR_IO, "cannot read the input");
    return rc;
}

static void tell_speed(const struct chat *c)
{
    const int64_t behind = c->tokens - c->answers;
    if (c->answers)
        text_print(stderr,
                   "peftlab: %lld answer%s, %lld tokens; first token after %.1f ms, then "
                   "%.1f tokens/s\n",
                   (long long)c->answers, c->answers == 1 ? "" : "s",
                   (long long)c->tokens, 1e3 * c->first_s / (double)c->answers,
                   (double)behind / fmax(c->seconds, 1e-9));
}

static int start(struct chat *c, struct err *err)
{
    const int64_t context = json_get_int(c->c.values, "context", 1);
    const int32_t most =
        generator_length(&c->c.session, generator_room(&c->c.session), 0);
    c->c.session.decode =
        (struct decode_size){.sequences = 1,
                             .capacity = context < most ? (int32_t)context : most,
                             .tokens = PIECE};
    if (!c->c.prompter.chat)
        return err_set(err, c->c.prompter.no_chat.code, "%s", c->c.prompter.no_chat.msg);
    int rc = session_plan_memory(&c->c.session, err);
    if (!rc)
        rc = session_allocate(&c->c.session, err);
    if (rc)
        return rc;
    generator_init(&c->generator, &c->c.session, &c->c.sampling, c->c.prompter.stops,
                   c->c.prompter.n_stops);
    rc = talk(c, err);
    generator_release(&c->generator);
    if (!rc)
        tell_speed(c);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    struct chat c = {.messages = json_array(),
                     .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int rc = text_command_open(&c.c, &cmd_chat, argc, argv, err);
    if (!rc && !c.c.done) {
        const char *system = json_get_str(c.c.values, "system", NULL);
        c.system = system ? xstrdup(system) : NULL;
        rc = start(&c, err);
    }
    json_decref(c.messages);
    free(c.system);
    text_command_release(&c.c);
    return rc;
}

const struct command cmd_chat = {
    .name = "chat",
    .usage = "chat MODEL-or-TRIAL [key=value ...] [--adapter DIR]",
    .help = "Talk with a model: a line is a message; /reset, /system TEXT, /quit.",
    .group = "Trials",
    .options = &options,
    .run = run,
};
