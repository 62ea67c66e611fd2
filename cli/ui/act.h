/* cli/ui/act.h - the page's buttons: commands of this program, run as children of it.
 *
 *   POST /api/do {"verb": "stop", "sweep": 3}     with the token; runs it, and answers
 *       {"command", "exit", "output"}; of a long one, which goes on by itself, {"command",
 *       "started": true, "pid", "log"}
 *   GET /api/do?verb=stop&sweep=3                 {"command", "long"}: what it would run
 *   GET /api/started                              the long ones of this server
 *   GET /api/report?sweep=3                       the report, made now (HTML)
 *   GET /api/advise?model=...                     what `advise --json` prints
 *
 * A child is what anybody could type, so nothing here can do what a terminal could not;
 * a thread waits for it, a few at a time. */
#ifndef CLI_UI_ACT_H
#define CLI_UI_ACT_H

struct server_call;
struct ui;
struct ui_acts;

struct ui_acts *acts_new(void);
/* Waits until those that run have ended and are answered. */
void acts_finish(struct ui_acts *a);
void acts_free(struct ui_acts *a); /* nobody asks any more; NULL is fine */

void act_do(void *ctx, struct server_call *call);
void act_show(void *ctx, struct server_call *call);
void act_started(void *ctx, struct server_call *call);
void act_report(void *ctx, struct server_call *call);
void act_advise(void *ctx, struct server_call *call);

#endif
