/* lib/net/server_links.h - connections that owe a request (inside lib/net).
 *
 * A connection that is open and has not sent a whole request costs a socket and some
 * memory, and whoever opens thousands, or lets a byte drip now and then, would keep others
 * out. So each is on a list from when it was opened, or its last answer was sent, until
 * its next request is whole, the one that has owed longest first. It is cut off after
 * `limit_s`, however busily it drips, by a thread that sleeps until then; and where more
 * than `most` owe, the first gives way to the newest, so that a flood of idle connections
 * never keeps out one that asks something.
 *
 * Cutting off is a shutdown of the socket: the thread that owns it sees its end and closes
 * it. Functions are for any thread; link_close comes before the socket is closed. */
#ifndef LIB_NET_SERVER_LINKS_H
#define LIB_NET_SERVER_LINKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct server_link {
    int fd;
    double since_s;
    bool owes; /* it is on the list */
    struct server_link *before, *after;
};

struct server_links {
    size_t most;
    double limit_s;
    struct server_link *first, *last;
    size_t count;
    bool ends;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* False: no thread could be started. */
bool links_start(struct server_links *l, size_t most, double limit_s);
void links_stop(struct server_links *l); /* once all links are closed */
struct server_link *link_open(struct server_links *l, int fd);
void link_close(struct server_links *l, struct server_link *k);
/* Its request is whole; its answer is sent. */
void link_paid(struct server_links *l, struct server_link *k);
void link_owes(struct server_links *l, struct server_link *k);

#endif
