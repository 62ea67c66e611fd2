/* cli/ui/cmd_ui.c - `peftlab ui`: the store as a page, live, and as a tracking server. */
#include "cli/api_key.h"
#include "cli/command.h"
#include "cli/ui/act.h"
#include "cli/ui/feed.h"
#include "cli/ui/mlflow_routes.h"
#include "cli/ui/ui.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    READERS = 3,
    REAP_TICKS = 20 * 60, /* of 50 ms */
    MOST_CONNECTIONS = 1024,
    MOST_BYTES = 32 << 20 /* a batch of MLflow's, and what it says of a dataset */
};

/* clang-format off */
static const struct opt_def rows[] = {
    STORE_OPTION,
    {.key = "address", .type = OPT_STRING, .preset = "127.0.0.1", .group = "network",
     .metavar = "IP", .help = "address to listen on; on any but this machine's own a key is needed"},
    {.key = "port", .type = OPT_INT, .preset = "5000", .max = 65535, .group = "network",
     .metavar = "N", .help = "port; 0: one that is free, which is printed"},
    API_KEY_OPTION("all requests"),
    {.key = "token_file", .type = OPT_PATH, .group = "network", .metavar = "FILE",
     .help = "file with the token that the page's buttons need (default: a new one with each start)"},
};
/* clang-format on */
static const struct opt_table options = {"ui", rows, ARRAY_LEN(rows)};

static int read_token(struct ui *ui, const json_t *values, struct err *err)
{
    const char *file = json_get_str(values, "token_file", NULL);
    struct buf token;
    if (!file)
        return ui_token_make(ui->token, err);
    buf_init(&token, 4096);
    int rc = api_key_of_file(file, "--token-file", &token, err);
    if (rc == 0 && (token.len >= UI_TOKEN_MAX ||
                    strspn(buf_str(&token), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"
                                            "STUVWXYZ0123456789-._~") != token.len))
        rc = err_set(err, ERR_PARSE,
                     "--token-file: '%s' is to hold letters, digits, - . _ and ~, fewer "
                     "than %d",
                     file, UI_TOKEN_MAX);
    if (rc == 0)
        memcpy(ui->token, buf_str(&token), token.len + 1);
    buf_release(&token);
    return rc;
}

static const struct server_form mlflow_forms[] = {
    {"/api/2.0/mlflow", mlflow_routes_error},
    {"/api/3.0/mlflow", mlflow_routes_error},
    {"/ajax-api/", mlflow_routes_error}};

static struct server_options listening(const json_t *values, const char *key)
{
    return (struct server_options){.address = json_get_str(values, "address", ""),
                                   .port = (int)json_get_int(values, "port", 0),
                                   .key = *key ? key : NULL,
                                   .basic = true,
                                   .max_body = MOST_BYTES,
                                   .max_connections = MOST_CONNECTIONS,
                                   .forms = mlflow_forms,
                                   .form_count = ARRAY_LEN(mlflow_forms)};
}

static void run_until_signal(struct ui *ui, const json_t *values)
{
    const char *address = json_get_str(values, "address", "");
    const bool colons = strchr(address, ':') != NULL; /* IPv6 */
    proc_catch_signals();
    text_print(stdout, "%s on http://%s%s%s:%d/?token=%s\n", ui->store, colons ? "[" : "",
               address, colons ? "]" : "", server_port(ui->server), ui->token);
    fflush(stdout);
    for (int ticks = 0; !proc_signals(NULL); ticks++) {
        if (ticks % REAP_TICKS == 0)
            mlflow_routes_reap(ui);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    proc_release_signals();
    server_drain(ui->server);
}

/* What was asked is answered, then everything ends. */
static void end_all(struct ui *ui)
{
    if (ui->feed)
        feed_stop(ui->feed);
    if (ui->read)
        desk_close(ui->read);
    if (ui->write)
        desk_close(ui->write);
    if (ui->acts)
        acts_finish(ui->acts);
    if (ui->server)
        server_stop(ui->server);
    acts_free(ui->acts);
    feed_free(ui->feed);
    desk_free(ui->read);
    desk_free(ui->write);
    free(ui->routes);
}

static int open_all(struct ui *ui, const json_t *values, const char *key, struct err *err)
{
    const struct server_options o = listening(values, key);
    size_t count;
    int rc = server_check(&o, err);
    if (rc == 0)
        rc = read_token(ui, values, err);
    if (rc == 0) /* first, since it makes the store where there is none */
        rc = desk_open(&ui->write, ui->store, DESK_WRITE, 1, err);
    if (rc == 0)
        rc = desk_open(&ui->read, ui->store, DESK_READ, READERS, err);
    if (rc == 0)
        rc = feed_start(&ui->feed, ui->store, err);
    ui->acts = acts_new();
    ui->routes = ui_routes(&count);
    return rc == 0 ? server_start(&ui->server, &o, ui->routes, count, ui, err) : rc;
}

static int serve_page(const json_t *values, struct err *err)
{
    struct buf key = BUF_INIT;
    struct ui ui = {0};
    char *named = store_default_path(json_get_str(values, "store", NULL)),
         *path = fs_absolute(named);
    ui.store = path;
    int rc = api_key_read(values, &key, err);
    if (rc == 0)
        rc = open_all(&ui, values, buf_str(&key), err);
    if (rc == 0)
        run_until_signal(&ui, values);
    end_all(&ui);
    buf_release(&key);
    free(named);
    free(path);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_ui, argc, argv, &values, NULL, 0, &count, &done, err);
    if (rc == 0 && !done)
        rc = serve_page(values, err);
    json_decref(values);
    return rc;
}

const struct command cmd_ui = {
    .name = "ui",
    .usage = "ui [--store FILE] [--port N]",
    .help = "Show the store as a live page, and take what MLflow's clients log.",
    .group = "Store",
    .options = &options,
    .run = run,
};
