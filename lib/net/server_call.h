/* lib/net/server_call.h - a request under way (inside lib/net).
 *
 * The connection's thread has a call until the connection is done with it
 * (server_call_over), a handler from server_call_hand_over until its answer is whole; it is
 * freed when neither has it. What both touch while an answer comes in pieces is behind its
 * lock. */
#ifndef LIB_NET_SERVER_CALL_H
#define LIB_NET_SERVER_CALL_H

#include "lib/net/server.h"
#include "lib/net/server_links.h"
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct server {
    struct MHD_Daemon *daemon;
    struct server_options options;
    const struct server_route *routes;
    size_t route_count;
    void *ctx;
    bool loopback;
    struct server_links links;
    atomic_int calls; /* that have begun and not ended */
    atomic_bool draining;
};

struct server_call {
    struct server *server;
    struct MHD_Connection *connection;
    const char *method, *path; /* the connection's */
    char *rest;                /* of the path, see server_call_rest; NULL: nobody asked */
    const struct server_route *route;
    struct buf body;
    bool too_large;
    bool closes; /* answered before all of it is read, and the end of its connection */
    double begin_s;
    atomic_int
        holders; /* of the connection's thread and the handler those that have it */
    bool handed_over;
    /* The answer; status 0: there is none yet. */
    int status;
    char *type;
    struct {
        char *name, *value;
    } headers[8];
    size_t header_count;
    struct buf reply; /* all of it, or what is still to be read of pieces */
    bool pieces;
    pthread_mutex_t lock;
    size_t read;     /* of `reply` */
    bool whole;      /* there are no more pieces */
    bool waits;      /* the connection is suspended until there is one */
    bool over, slow; /* nobody reads; so much waits that it is cut off */
};

struct server_call *server_call_new(struct server *s, struct MHD_Connection *connection);
void server_call_hand_over(struct server_call *c);
/* server_guard.c. False: answered. Has it one form, or could another reader take it for
 * something else? May whoever sent it ask? */
bool server_call_formed(struct server_call *c);
bool server_call_allowed(struct server_call *c);
/* Queues what was answered. */
enum MHD_Result server_call_send(struct server_call *c);
/* The connection's thread has done with it. */
void server_call_over(struct server_call *c);

#endif
