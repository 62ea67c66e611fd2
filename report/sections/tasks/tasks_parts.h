/* report/sections/tasks/tasks_parts.h - what the files of the chapter on tasks share. */
#ifndef REPORT_SECTIONS_TASKS_PARTS_H
#define REPORT_SECTIONS_TASKS_PARTS_H

#include "report/service/task_plans.h"

/* "reviews, movies and tweets" of the tasks that are marked. */
const char *task_names(const struct tasks *t, const bool *marked);
/* "measured by bench 3", "predicted from single requests" */
const char *service_evidence(const struct task_service *s);
/* The same of all services of a plan. */
const char *plan_evidence(const struct task_plan *plan);
/* What gives way first: "p99 of movies on all-MiniLM-L6-v2"; "" nothing is asked. */
const char *first_to_break(const struct task_plans *p, const struct task_plan *plan);

/* sentences.c */
void tasks_takeaways(const struct report *r, const struct task_plans *p, json_t *numbers);
/* bench_tables.c: what benches of the tasks' bases measured */
json_t *surface_json(const struct report *r, const struct tasks *t);
void write_surface(const json_t *surface, struct html *h);

#endif
