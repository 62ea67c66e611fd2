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
    struct server_pair { /* of the query, unescaped */
        char *name, *value;
    } * query;
    size_t query_count, query_cap;
    bool query_read;
    struct buf body;
    uint64_t taken, most; /* bytes of the body */
    struct server_upload *upload;
    bool closes; /* answered before all of it is read, and the end of its connection */
    double begin_s;
    atomic_int
        holders; /* of the connection's thread and the handler those that have it */
    bool handed_over;
    /* The answer; status 0: there is none yet. */
    int status;
    char *type;
    struct server_pair headers[16];
    size_t header_count;
    struct buf reply; /* all of it, or what is still to be read of pieces */
    int file;         /* that is the answer; -1: none */
    uint64_t file_size;
    bool pieces;
    pthread_mutex_t lock;
    size_t read;     /* of `reply` */
    bool whole;      /* there are no more pieces */
    bool waits;      /* the connection is suspended until there is one */
    bool over, slow; /* nobody reads; so much waits that it is cut off */
};

/* A body that goes to a file. */
struct server_upload {
    int fd;
    char *path; /* NULL: the handler has taken it */
    int failed; /* errno of the first write that did */
    void (*then)(void *ctx, struct server_call *c);
};

struct server_call *server_call_new(struct server *s, struct MHD_Connection *connection);
void server_call_hand_over(struct server_call *c);
/* server_guard.c. False: answered. Has it one form, or could another reader take it for
 * something else? May whoever sent it ask? */
bool server_call_formed(struct server_call *c);
bool server_call_allowed(struct server_call *c);
/* server_upload.c; the end answers where something failed. */
void server_upload_take(struct server_call *c, const char *data, size_t size);
void server_upload_end(struct server_call *c);
void server_upload_free(struct server_upload *u); /* and its file, unless it was taken */
/* 413 */
void server_call_too_large(struct server_call *c);
/* The client's end of the connection is closed. */
bool server_call_ended(const struct server_call *c);
/* One that had it has it no more. */
void server_call_let_go(struct server_call *c);
/* server_reply.c. Queues what was answered. */
enum MHD_Result server_call_send(struct server_call *c);
/* The connection's thread has done with it. */
void server_call_over(struct server_call *c);

#endif
