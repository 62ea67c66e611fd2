/* report/page/script.h - the page's inline script: comfort, and nothing else.
 *
 * The page is whole without it: what the script shows is in the page already. It sorts
 * and filters tables, draws score against cost on axes of choice and parallel coordinates
 * from the page's JSON (configurations.h), and marks one configuration wherever it
 * stands. No framework, no network. Its sources are report/page/script/NN_*.js, one
 * subject each, put into one <script> in the order of script.def.
 *
 * The policy of the page lets this text run and no other: script-src names its SHA-256,
 * so that markup which slipped in from a store could not run. */
#ifndef REPORT_PAGE_SCRIPT_H
#define REPORT_PAGE_SCRIPT_H

#include "report/page/html.h"

/* <meta http-equiv="Content-Security-Policy" ...>; once, in <head>. */
void script_write_policy(struct html *h);
/* <script>...</script>; once, at the end of <body>. */
void script_write(struct html *h);

#endif
