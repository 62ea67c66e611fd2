/* tests/unit/lib/net/server.c - answers in pieces, against clients that read, leave, or do neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/net/server.h"
#include "tests/unit/support/loopback.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 64 << 10, PIECES_MOST = 2000 };

static struct server *server;
static pthread_t writer;
static sem_t go_on, begun;
static int put_pieces; /* until nobody read */
static bool heard_to_the_end;

/* --- handlers; each writes from a thread of its own --- */

static void *write_in_turns(void *ctx)
{
    struct server_call *c = ctx;
    server_call_put(c, "X-Test", "yes");
    server_stream_begin(c, 200, "text/event-stream");
    heard_to_the_end = true;
    for (int i = 0; i < 3; i++) {
        char text[16];
        sem_wait(&go_on);
        snprintf(text, sizeof text, "piece %d\n", i);
        heard_to_the_end &= server_stream_put(c, text, strlen(text));
    }
    server_stream_end(c);
    return NULL;
}

static void *write_much(void *ctx)
{
    static char text[PIECE];
    struct server_call *c = ctx;
    server_stream_begin(c, 200, "text/plain");
    put_pieces = 0;
    while (put_pieces < PIECES_MOST && server_stream_put(c, text, sizeof text))
        put_pieces++;
    server_stream_end(c);
    return NULL;
}

static void *wait_for_leaving(void *ctx)
{
    struct server_call *c = ctx;
    int tries = 0;
    sem_post(&begun);
    while (!server_call_left(c) && tries++ < 1000)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    heard_to_the_end = tries >= 1000;
    server_reply(c, 200, "text/plain", "late", 4);
    return NULL;
}

static void hand_on(struct server_call *c, void *(*write)(void *))
{
    assert_int_equal(pthread_create(&writer, NULL, write, c), 0);
}

static void turns(void *ctx, struct server_call *c)
{
    (void)ctx;
    hand_on(c, write_in_turns);
}

static void much(void *ctx, struct server_call *c)
{
    (void)ctx;
    hand_on(c, write_much);
}

static void leaving(void *ctx, struct server_call *c)
{
    (void)ctx;
    hand_on(c, wait_for_leaving);
}

static void at_once(void *ctx, struct server_call *c)
{
    (void)ctx;
    server_stream_begin(c, 200, "text/plain");
    server_stream_put(c, "here", 4);
    server_stream_end(c);
}

static const struct server_route routes[] = {{"GET", "/turns", turns, 0},
                                             {"GET", "/much", much, 0},
                                             {"GET", "/leaving", leaving, 0},
                                             {"GET", "/at-once", at_once, 0}};

/* --- a client --- */

static int ask(const char *path)
{
    char text[128];
    const int fd = loopback_connect(server_port(server));
    assert_true(fd >= 0);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* Reads until `text` was there; all that was read so far is in `b`. */
static void read_until(int fd, struct buf *b, const char *text)
{
    char bytes[512];
    while (!strstr(buf_str(b), text)) {
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        assert_true(n > 0);
        buf_add(b, bytes, (size_t)n);
    }
}

static void test_each_piece_goes_out_before_the_next_is_there(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    const int fd = ask("/turns");
    read_until(fd, &got, "\r\n\r\n");
    assert_non_null(strstr(buf_str(&got), "X-Test: yes\r\n"));
    assert_non_null(strstr(buf_str(&got), "Content-Type: text/event-stream\r\n"));
    for (int i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "piece %d\n", i);
        assert_null(strstr(buf_str(&got), text));
        sem_post(&go_on);
        read_until(fd, &got, text);
    }
    read_until(fd, &got, "\r\n0\r\n\r\n"); /* its end, and the connection goes on: */
    pthread_join(writer, NULL);
    assert_true(heard_to_the_end);
    buf_clear(&got);
    static const char next[] = "GET /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(write(fd, next, sizeof next - 1), sizeof next - 1);
    read_until(fd, &got, "4\r\nhere\r\n0\r\n\r\n");
    close(fd);
    buf_release(&got);
}

static void test_whoever_leaves_is_noticed(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    int fd = ask("/turns");
    sem_post(&go_on);
    read_until(fd, &got, "piece 0\n");
    close(fd);
    sem_post(&go_on), sem_post(&go_on);
    pthread_join(writer, NULL);
    assert_false(heard_to_the_end);
    fd = ask("/leaving"); /* before there is an answer */
    sem_wait(&begun);
    close(fd);
    pthread_join(writer, NULL);
    assert_false(heard_to_the_end);
    buf_release(&got);
}

/* 125 MiB for a client that reads none of it: the writer is told, and not held up. */
static void test_whoever_does_not_read_is_given_up(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    const int fd = ask("/much");
    read_until(fd, &got, "\r\n\r\n");
    pthread_join(writer, NULL);
    assert_true(put_pieces > 10 && put_pieces < PIECES_MOST);
    close(fd);
    buf_release(&got);
}

static int start(void **state)
{
    (void)state;
    const struct server_options o = {
        .address = "127.0.0.1", .max_body = 1 << 20, .max_connections = 64};
    sem_init(&go_on, 0, 0);
    sem_init(&begun, 0, 0);
    return server_start(&server, &o, routes, ARRAY_LEN(routes), NULL, NULL);
}

static int stop(void **state)
{
    (void)state;
    server_drain(server);
    server_stop(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_piece_goes_out_before_the_next_is_there),
        cmocka_unit_test(test_whoever_leaves_is_noticed),
        cmocka_unit_test(test_whoever_does_not_read_is_given_up),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
