/* Bodies of requests to `peftlab serve`, over HTTP to a server in this process: the first
 * line says whether its base classifies or writes, and which path; the rest is the body. Each
 * gets an answer that is whole and no 500, and the server answers the next. */
#include "cli/serve/serving.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/serve/write/writer.h"
#include "tests/unit/support/loopback.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct side {
    bool writes;
    const char *model, *adapter;
    struct serving serving;
    size_t route_count;
    int fd; /* 0: none */
} sides[] = {
    {.model = "bert", .adapter = "tests/golden/cases/bert-lora-qv/expected/adapter"},
    {.model = "llama", .writes = true, .adapter = NULL}};

static char dir[] = "/tmp/peftlab-fuzz-XXXXXX";

static void must(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "fuzz_serve_body: %s\n", what);
    abort();
}

/* --- models: those of tests/golden, with a tokenizer --- */

static void put_file(const char *folder, const char *name, const char *text)
{
    char *path = fs_join(folder, name);
    must(fs_write_atomic(path, text, strlen(text), NULL) == 0, path);
    free(path);
}

static void link_file(const char *folder, const char *model, const char *name)
{
    char here[4096], *to = fs_join(folder, name);
    must(getcwd(here, sizeof here) != NULL, "no folder");
    char *from = xasprintf("%s/tests/golden/models/%s/%s", here, model, name);
    must(symlink(from, to) == 0, from);
    free(from);
    free(to);
}

/* Words of one letter; of a model that writes letters as GPT-2 has them, with a blank. */
static void put_tokenizer(const char *folder, bool writes)
{
    struct buf b = BUF_INIT;
    buf_printf(
        &b, writes ? "{\"added_tokens\": [], \"normalizer\": null, \"pre_tokenizer\": "
                     "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}, "
                     "\"post_processor\": null, \"decoder\": {\"type\": "
                     "\"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"unk_token\": "
                     "\"<unk>\", \"merges\": [], \"vocab\": {\"<unk>\": 0, \"<s>\": 1, "
                     "\"</s>\": 2, \"\\u0120\": 3, \"\\u010a\": 4"
                   : "{\"added_tokens\": [], \"normalizer\": {\"type\": "
                     "\"BertNormalizer\"}, \"pre_tokenizer\": {\"type\": "
                     "\"BertPreTokenizer\"}, \"post_processor\": {\"type\": "
                     "\"BertProcessing\", \"sep\": [\"[SEP]\", 3], \"cls\": "
                     "[\"[CLS]\", 2]}, \"decoder\": null, \"model\": {\"type\": "
                     "\"WordPiece\", \"unk_token\": \"[UNK]\", "
                     "\"continuing_subword_prefix\": \"##\", "
                     "\"max_input_chars_per_word\": 100, \"vocab\": {\"[PAD]\": 0, "
                     "\"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"[MASK]\": 4");
    for (int c = 33; c < 127; c++)
        if (c != '"' && c != '\\')
            buf_printf(&b, ", \"%c\": %d", c, c - 28);
    buf_str_add(&b, "}}}");
    put_file(folder, "tokenizer.json", buf_str(&b));
    buf_release(&b);
    if (writes)
        put_file(
            folder, "tokenizer_config.json",
            "{\"eos_token\": \"</s>\", \"chat_template\": \"{% for m in messages %}{{ "
            "m.role }}: {{ m.content }}\\n{% endfor %}\"}");
}

static char *make_model(const struct side *s)
{
    char *folder = fs_join(dir, s->model);
    must(fs_mkdirs(folder, NULL) == 0, folder);
    link_file(folder, s->model, "config.json");
    link_file(folder, s->model, "model.safetensors");
    put_tokenizer(folder, s->writes);
    return folder;
}

/* --- servers --- */

static void start_engine(struct side *s, struct err *err)
{
    const struct engine_options o = {.queue = {.most_rows = 4096}};
    must(engine_start(&s->serving.engine, &s->serving.shelf, &o, err) == 0, err->msg);
}

static void start_writer(struct side *s, struct err *err)
{
    struct serving *v = &s->serving;
    must(prompter_open(&v->prompter, &v->base.session, NULL, err) == 0, err->msg);
    const struct writer_options o = {
        .most_waiting = 64, .stops = v->prompter.stops, .n_stops = v->prompter.n_stops};
    must(writer_start(&v->writer, &v->shelf, &o, err) == 0, err->msg);
}

static void start(struct side *s)
{
    struct err err = ERR_INIT;
    struct serving *v = &s->serving;
    char *folder = make_model(s);
    const struct serve_options base = {
        .most = extent_of(512, 16, 16),
        .decode = {.sequences = s->writes ? 4 : 0, .capacity = 48, .tokens = 64}};
    const struct server_options web = {
        .address = "127.0.0.1", .max_body = 1 << 20, .max_connections = 16};
    v->name = s->model;
    pthread_mutex_init(&v->lock, NULL);
    shelf_init(&v->shelf, &v->base, 0);
    must(serve_base_open(&v->base, folder, &base, &err) == 0, err.msg);
    s->writes ? start_writer(s, &err) : start_engine(s, &err);
    v->routes = serve_routes_of(s->writes, &s->route_count);
    must(server_start(&v->server, &web, v->routes, s->route_count, v, &err) == 0,
         err.msg);
    free(folder);
}

/* One adapter, whatever the last body added or took away. */
static void set_adapters(struct side *s)
{
    size_t count;
    char **names = shelf_names(&s->serving.shelf, &count);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(names[i], "lora"))
            shelf_forget(&s->serving.shelf, names[i]);
        free(names[i]);
    }
    free(names);
    if (s->adapter)
        shelf_add(&s->serving.shelf, "lora", s->adapter, false, NULL);
}

static void start_all(void)
{
    must(mkdtemp(dir) != NULL, dir);
    for (size_t i = 0; i < ARRAY_LEN(sides); i++)
        start(&sides[i]);
    fs_remove_tree(dir, NULL); /* it is all in memory */
}

/* --- a client --- */

static void send_all(struct side *s, const char *at, size_t size)
{
    while (size) {
        const ssize_t n = send(s->fd, at, size, MSG_NOSIGNAL);
        must(n > 0, "the connection ended while a request was sent");
        at += n;
        size -= (size_t)n;
    }
}

/* Until `b` has as many bytes, or (0) an empty line. */
static void read_until(struct side *s, struct buf *b, size_t bytes, const char *end)
{
    char piece[4096];
    while (end ? !strstr(buf_str(b), end) : b->len < bytes) {
        const ssize_t n = recv(s->fd, piece, sizeof piece, 0);
        must(n > 0, "the connection ended without an answer");
        buf_add(b, piece, (size_t)n);
    }
}

static const char *value_of(const char *head, const char *name)
{
    const char *at = strstr(head, name);
    return at ? at + strlen(name) : NULL;
}

static void check_answer(const char *head, const char *body)
{
    const int status = atoi(head + strlen("HTTP/1.1 "));
    const char *type = value_of(head, "\r\nContent-Type: ");
    must(status == 200 || (status >= 400 && status < 500) || status == 504, head);
    if (!type || strncmp(type, "application/json", 16))
        return;
    json_t *v = json_parse(body, strlen(body), "answer", NULL);
    must(v != NULL, body);
    must(status == 200 || json_is_object(json_object_get(v, "error")), body);
    json_decref(v);
}

static void read_answer(struct side *s)
{
    struct buf b = BUF_INIT;
    read_until(s, &b, 0, "\r\n\r\n");
    const size_t head = (size_t)(strstr(buf_str(&b), "\r\n\r\n") + 4 - buf_str(&b));
    char *text = xstrndup(buf_str(&b), head);
    const char *length = value_of(text, "\r\nContent-Length: ");
    if (length) {
        read_until(s, &b, head + strtoul(length, NULL, 10), NULL);
        check_answer(text, buf_str(&b) + head);
    } else {
        read_until(s, &b, 0, "\r\n0\r\n\r\n"); /* in pieces */
        check_answer(text, "");
    }
    if (value_of(text, "\r\nConnection: close")) {
        close(s->fd);
        s->fd = 0;
    }
    free(text);
    buf_release(&b);
}

/* "c /v1/classify": of the base that classifies; what is no path is one all the same. */
static const struct server_route *find_route(struct side **side, const char *line,
                                             size_t size)
{
    struct side *s = *side = &sides[size && line[0] == 'w'];
    uint32_t hash = 0;
    for (size_t i = 0; i < s->route_count; i++)
        if (size == strlen(s->serving.routes[i].path) + 2 &&
            !memcmp(line + 2, s->serving.routes[i].path, size - 2))
            return &s->serving.routes[i];
    for (size_t i = 0; i < size; i++)
        hash = hash * 31 + (unsigned char)line[i];
    return &s->serving.routes[hash % s->route_count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct side *s;
    if (!sides[0].serving.server)
        start_all();
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    const size_t line = end ? (size_t)(end - text) : 0, skip = end ? line + 1 : 0;
    const struct server_route *route = find_route(&s, text, line);
    set_adapters(s);
    if (!s->fd)
        s->fd = loopback_connect(server_port(s->serving.server));
    must(s->fd >= 0, "no connection");
    struct buf request = BUF_INIT; /* in one piece, or Nagle's algorithm waits */
    buf_printf(&request,
               "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
               route->method, route->path, size - skip);
    buf_add(&request, text + skip, size - skip);
    send_all(s, buf_str(&request), request.len);
    buf_release(&request);
    read_answer(s);
    return 0;
}
