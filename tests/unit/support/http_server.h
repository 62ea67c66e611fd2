/* tests/unit/support/http_server.h - a small HTTP server for tests: files of a folder on
 * two ports of 127.0.0.1 (the second stands for another host), and faults on demand.
 *
 * ROOT/.rules has lines "COUNT KIND ARG PATH"; a request whose path begins with PATH
 * takes the first of them that is not used up:
 *   status N[:S]     answer with status N, Retry-After S
 *   refuse N         answer with status N and the file's text
 *   cut N            break off after N bytes
 *   extra N          N bytes more than the file has
 *   flip N           byte N is wrong
 *   plain -          as if ranges were unknown
 *   range N          a range that starts N bytes too late
 *   other -          302 to the second port, same path
 *   to URL           302 to URL
 *   stall S          S seconds of silence
 *   head NAME:VALUE  a header more, then as usual
 * ROOT/.log gets a line per request: port (A, B), path, range, whether authorised; ROOT/.sent
 * has what came with the last one that is no GET: its method, type, credentials and body. */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include "lib/fs.h"
#include "lib/mem.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server {
    char root[512];
    int listeners[2], ports[2];
    pthread_t threads[2];
    pthread_mutex_t lock;
};

struct server_port {
    struct http_server *server;
    int which;
};

struct rule {
    char kind[16], arg[256];
};

struct request {
    char path[512], range[64];
    bool authorised;
};

/* Takes a rule for the path out of .rules, or leaves kind empty. */
static void take_rule(struct http_server *s, const char *path, struct rule *out)
{
    char file[600], line[1024], where[512];
    struct buf text = BUF_INIT, rest = BUF_INIT;
    *out = (struct rule){"", ""};
    snprintf(file, sizeof file, "%s/.rules", s->root);
    pthread_mutex_lock(&s->lock);
    if (fs_read(file, 1 << 16, &text, NULL) == 0) {
        for (const char *at = buf_str(&text); *at;) {
            size_t n = strcspn(at, "\n");
            int count = 0;
            struct rule r;
            snprintf(line, sizeof line, "%.*s", (int)n, at);
            if (sscanf(line, "%d %15s %255s %511s", &count, r.kind, r.arg, where) == 4 &&
                count > 0) {
                bool taken = !out->kind[0] && !strncmp(path, where, strlen(where));
                if (taken)
                    *out = r;
                buf_printf(&rest, "%d %s %s %s\n", count - taken, r.kind, r.arg, where);
            }
            at += n + (at[n] == '\n');
        }
        fs_write_atomic(file, buf_str(&rest), rest.len, NULL);
    }
    pthread_mutex_unlock(&s->lock);
    buf_release(&text);
    buf_release(&rest);
}

static void log_request(struct http_server *s, int which, const struct request *r)
{
    char file[600];
    snprintf(file, sizeof file, "%s/.log", s->root);
    pthread_mutex_lock(&s->lock);
    FILE *f = fopen(file, "a");
    if (f) {
        fprintf(f, "%c %s %s %s\n", "AB"[which], r -> path,
                r -> range[0] ? r -> range : "-", r->authorised ? "token" : "-");
        fclose(f);
    }
    pthread_mutex_unlock(&s->lock);
}

/* What follows the head, as far as it has come; the whole is kept. */
static void keep_body(struct http_server *s, int fd, const char *head, size_t n)
{
    struct buf all = BUF_INIT;
    char file[600], field[256] = "", piece[65536];
    const char *end = strstr(head, "\r\n\r\n") + 4,
               *length = strcasestr(head, "\r\ncontent-length: "),
               *type = strcasestr(head, "\r\ncontent-type: "),
               *basic = strcasestr(head, "\r\nauthorization: basic ");
    size_t left = length ? strtoul(length + 18, NULL, 10) : 0;
    buf_printf(&all, "%.*s ", (int)strcspn(head, " "), head);
    if (type)
        sscanf(type + 16, "%255[^\r]", field);
    buf_printf(&all, "%s ", field);
    field[0] = '\0';
    if (basic)
        sscanf(basic + 23, "%255[^\r]", field);
    buf_printf(&all, "%s\n", field);
    const size_t come = n - (size_t)(end - head);
    buf_add(&all, end, come);
    left -= come < left ? come : left;
    for (ssize_t got; left > 0 && (got = recv(fd, piece, sizeof piece, 0)) > 0;) {
        buf_add(&all, piece, (size_t)got);
        left -= (size_t)got < left ? (size_t)got : left;
    }
    snprintf(file, sizeof file, "%s/.sent", s->root);
    fs_write_atomic(file, buf_str(&all), all.len, NULL);
    buf_release(&all);
}

static bool read_request(struct http_server *s, int fd, struct request *r)
{
    char text[8192], method[16];
    size_t n = 0;
    *r = (struct request){0};
    while (n < sizeof text - 1) {
        ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        text[n] = '\0';
        if (strstr(text, "\r\n\r\n"))
            break;
    }
    if (sscanf(text, "%15s %511s", method, r->path) != 2)
        return false;
    if (strcmp(method, "GET"))
        keep_body(s, fd, text, n);
    char *range = strcasestr(text, "\r\nrange: "),
         *authorisation = strcasestr(text, "\r\nauthorization: bearer ");
    if (range)
        sscanf(range + 9, "%63[^\r]", r->range);
    r->authorised = authorisation != NULL;
    return true;
}

/* `step` bytes every 10 ms; 0: as fast as it goes. */
static void send_slowly(int fd, const void *data, size_t n, size_t step)
{
    for (const char *at = data; n > 0;) {
        ssize_t w = send(fd, at, step && step < n ? step : n, MSG_NOSIGNAL);
        if (step)
            usleep(10000);
        if (w <= 0)
            return;
        at += w;
        n -= (size_t)w;
    }
}

static void send_all(int fd, const void *data, size_t n)
{
    send_slowly(fd, data, n, 0);
}

static void send_head(int fd, const char *status, const char *fields, size_t length)
{
    char head[2048];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     status, fields, length);
    send_all(fd, head, (size_t)n);
}

static void serve_file(struct http_server *s, int fd, const struct request *r,
                       const struct rule *rule)
{
    char file[1100], fields[700] = "", told[16] = "";
    struct buf text = BUF_INIT;
    snprintf(file, sizeof file, "%s%.*s", s->root, (int)strcspn(r->path, "?"), r->path);
    bool listing = fs_is_dir(file);
    if (listing)
        strcat(file, "/.index");
    if (strstr(r->path, "..") || fs_read(file, 1 << 26, &text, NULL) != 0) {
        send_head(fd, "404 Not Found", "", 0);
        return;
    }
    size_t from = 0, late = 0, n = text.len, arg = strtoul(rule->arg, NULL, 10);
    const bool plain = !strcmp(rule->kind, "plain");
    if (!plain && sscanf(r->range, "bytes=%zu-", &from) == 1 && from >= n) {
        send_head(fd, "416 Range Not Satisfiable", "", 0);
        buf_release(&text);
        return;
    }
    if (plain)
        from = 0;
    if (!strcmp(rule->kind, "range"))
        late = arg;
    if (!strcmp(rule->kind, "flip") && arg < n)
        text.data[arg] ^= 1;
    if (!strcmp(rule->kind, "head"))
        snprintf(fields, sizeof fields, "%.*s: %s\r\n", (int)strcspn(rule->arg, ":"),
                 rule->arg, strchr(rule->arg, ':') + 1);
    if (!strcmp(rule->kind, "extra"))
        for (size_t i = 0; i < arg; i++)
            buf_char(&text, 'x');
    n = text.len;
    if (from + late)
        snprintf(fields + strlen(fields), 128, "Content-Range: bytes %zu-%zu/%zu\r\n",
                 from + late, n - 1, n);
    if (!strcmp(rule->kind, "refuse"))
        snprintf(told, sizeof told, "%.3s Told So", rule->arg);
    const char *status = told[0] ? told : from + late ? "206 Partial Content" : "200 OK";
    send_head(fd, status, fields, n - from);
    size_t length = n - from;
    if (!strcmp(rule->kind, "cut") && arg < length)
        length = arg;
    if (!strcmp(rule->kind, "stall"))
        sleep((unsigned)arg);
    send_slowly(fd, buf_str(&text) + from, length, !strcmp(rule->kind, "slow") ? arg : 0);
    buf_release(&text);
}

static void answer(struct http_server *s, int which, int fd)
{
    struct request r;
    struct rule rule;
    char fields[700] = "";
    if (!read_request(s, fd, &r))
        return;
    log_request(s, which, &r);
    take_rule(s, r.path, &rule);
    if (!strcmp(rule.kind, "other") || !strcmp(rule.kind, "to")) {
        if (!strcmp(rule.kind, "to"))
            snprintf(fields, sizeof fields, "Location: %s\r\n", rule.arg);
        else
            snprintf(fields, sizeof fields, "Location: http://localhost:%d%s\r\n",
                     s->ports[1], r.path);
        send_head(fd, "302 Found", fields, 0);
    } else if (!strcmp(rule.kind, "status")) {
        const char *wait = strchr(rule.arg, ':');
        char status[64];
        snprintf(status, sizeof status, "%.3s Told So", rule.arg);
        if (wait)
            snprintf(fields, sizeof fields, "Retry-After: %s\r\n", wait + 1);
        send_head(fd, status, fields, 0);
    } else {
        serve_file(s, fd, &r, &rule);
    }
}

static void *serve(void *ctx)
{
    struct server_port port = *(struct server_port *)ctx;
    free(ctx);
    for (int fd; (fd = accept(port.server->listeners[port.which], NULL, NULL)) >= 0;) {
        answer(port.server, port.which, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static void server_start(struct http_server *s, const char *root)
{
    *s = (struct http_server){.lock = PTHREAD_MUTEX_INITIALIZER};
    snprintf(s->root, sizeof s->root, "%s", root);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof a;
        s->listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(s->listeners[i], (struct sockaddr *)&a, sizeof a) < 0 ||
            listen(s->listeners[i], 16) < 0 ||
            getsockname(s->listeners[i], (struct sockaddr *)&a, &n) < 0) {
            perror("server");
            exit(1);
        }
        s->ports[i] = ntohs(a.sin_port);
        struct server_port *port = xmalloc(sizeof *port);
        *port = (struct server_port){s, i};
        pthread_create(&s->threads[i], NULL, serve, port);
    }
}

static inline void server_stop(struct http_server *s)
{
    for (int i = 0; i < 2; i++) {
        shutdown(s->listeners[i], SHUT_RDWR);
        pthread_join(s->threads[i], NULL);
        close(s->listeners[i]);
    }
}

#endif
