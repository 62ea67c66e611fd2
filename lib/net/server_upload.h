/* lib/net/server_upload.h - bodies that go to a file as they come, and answers that are
 * files: what is too large for memory.
 *
 * A route with SERVER_UPLOAD is handled when only the head of its request is there: its
 * handler answers (then the body is read and dropped, or the connection ended where it would
 * be long), or says by server_call_upload where the body goes. `then` is called, as handlers
 * are, once it is whole. A body is as long as that call allows (413), and has the time of a
 * request for each MiB. Where the disk is full the answer is 507.
 *
 * The file is a new one in a folder of the caller's choice, to be renamed within its file
 * system; it is removed with the call unless it was taken, so that a client that leaves, or
 * is refused, leaves nothing. Who is killed leaves it there: tidy the folder by age. */
#ifndef LIB_NET_SERVER_UPLOAD_H
#define LIB_NET_SERVER_UPLOAD_H

#include "lib/net/server.h"

/* In the handler of such a route. Answers 500 where no file can be made. */
void server_call_upload(struct server_call *c, const char *folder, uint64_t most,
                        void (*then)(void *ctx, struct server_call *c));
/* In `then`: the file's path, which is the caller's now, and so is the file; not yet fsynced.
 * free() */
char *server_call_take_file(struct server_call *c, uint64_t *size);
/* Ends the call with the file's next `size` bytes; `fd` is closed for the caller. */
void server_reply_file(struct server_call *c, int status, const char *type, int fd,
                       uint64_t size);

#endif
