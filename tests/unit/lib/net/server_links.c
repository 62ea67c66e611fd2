/* tests/unit/lib/net/server_links.c - connections that owe a request: a slow one is cut off however
 * it drips, the oldest gives way to the newest, and neither concerns one that is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/net/server.h"
#include "lib/net/server_upload.h"
#include "tests/unit/support/loopback.h"
#include <errno.h>
#include <string.h>
#include <time.h>

enum { MOST = 16, FLOOD = 3 * MOST };

static const char asks[] = "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n";
static struct server *server;
static _Atomic(struct server_call *) held; /* by the connections' thread */

static void now(void *ctx, struct server_call *c)
{
    (void)ctx;
    server_reply(c, 200, "text/plain", "here\n", 5);
}

static void later(void *ctx, struct server_call *c)
{
    (void)ctx;
    held = c;
    server_call_put(c, "X-Held", "yes");
}

static void upload(void *ctx, struct server_call *c)
{
    (void)ctx;
    server_call_upload(c, "/tmp", 1 << 30, now);
}

static const struct server_route routes[] = {{"GET", "/now", now, 0},
                                             {"GET", "/later", later, 0},
                                             {"PUT", "/up", upload, SERVER_UPLOAD}};

static void start(double request_s)
{
    const struct server_options o = {.address = "127.0.0.1",
                                     .max_body = 1000,
                                     .max_connections = MOST,
                                     .request_s = request_s};
    assert_int_equal(server_start(&server, &o, routes, ARRAY_LEN(routes), NULL, NULL), 0);
}

static void stop(void)
{
    server_drain(server);
    server_stop(server);
}

static int connect_to(void)
{
    const int fd = loopback_connect(server_port(server));
    assert_true(fd >= 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* An answer's end is read, or the connection's. */
static bool is_answered(int fd)
{
    char bytes[1000] = "";
    size_t n = 0;
    ssize_t more = 1;
    while (more > 0 && !strstr(bytes, "here\n")) {
        more = recv(fd, bytes + n, sizeof bytes - 1 - n, 0);
        n += more > 0 ? (size_t)more : 0;
        bytes[n] = '\0';
    }
    return strstr(bytes, "here\n") != NULL;
}

static bool is_closed(int fd)
{
    char byte;
    const ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void drip(const char *head, const char *drop)
{
    const int fd = connect_to();
    int drips = 0;
    say(fd, head);
    while (drips++ < 3000 && send(fd, drop, strlen(drop), MSG_NOSIGNAL) > 0)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(drips < 3000);
    close(fd);
}

static void test_a_dripping_request_is_cut_off(void **state)
{
    (void)state;
    start(.5);
    const int waits = connect_to();
    say(waits, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    drip("GET /now HTTP/1.1\r\nHost: localhost\r\nX: ", "a");
    drip("GET /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n", "a");
    drip("GET /now HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1\r\na\r\n");
    drip("PUT /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n", "a");
    drip("PUT /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1\r\na\r\n");
    drip("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
         "1\r\na\r\n"); /* refused at its head */
    server_reply(held, 200, "text/plain", "here\n",
                 5); /* it owed nothing all the while */
    assert_true(is_answered(waits));
    assert_true(is_closed(waits)); /* now it does */
    close(waits);
    stop();
}

static void test_the_newest_is_heard(void **state)
{
    (void)state;
    int fds[FLOOD];
    start(600);
    const int waits = connect_to();
    say(waits, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = connect_to();
        say(fds[i], "GET /now HT");
        const int other = connect_to();
        say(other, asks);
        assert_true(is_answered(other));
        close(other);
    }
    for (int i = 0; i + MOST < FLOOD; i++)
        assert_true(is_closed(fds[i]));
    say(fds[FLOOD - 1], asks + strlen("GET /now HT"));
    assert_true(is_answered(fds[FLOOD - 1]));
    server_reply(held, 200, "text/plain", "here\n", 5);
    assert_true(is_answered(waits));
    for (int i = 0; i < FLOOD; i++)
        close(fds[i]);
    close(waits);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dripping_request_is_cut_off),
        cmocka_unit_test(test_the_newest_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
