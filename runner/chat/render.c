/* runner/chat/render.c - runs a template's statements; see run.h. */
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <stdlib.h>
#include <string.h>

/* ---- messages and limits ------------------------------------------------------------ */

int run_error(struct run *r, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    int rc = syntax_error(r->err, r->at->at, "%s", buf_str(&b));
    buf_release(&b);
    return rc;
}

int run_undefined(struct run *r, struct value v)
{
    const char *name = v.s ? v.s->text : "";
    if (!v.s)
        return run_error(r, "an undefined value is used");
    if (v.of == V_MISSING)
        return run_error(r, "'%s' is undefined", name);
    return run_error(r, "%s has no '%s'", value_type((struct value){.kind = v.of}), name);
}

int run_work(struct run *r, size_t bytes)
{
    r->steps -= 1 + (int64_t)(bytes / 16);
    return r->steps >= 0
               ? 0
               : run_error(r, "more than %d steps - does it end?", JINJA_STEPS_MAX);
}

void *run_take(struct run *r, size_t bytes)
{
    void *p = run_work(r, bytes) < 0 ? NULL : arena_take(&r->arena, bytes);
    if (!p)
        run_error(r, "more than %zu MiB of memory are needed",
                  JINJA_MEMORY_BYTES_MAX >> 20);
    return p;
}

int run_string(struct run *r, const char *text, size_t bytes, struct value *out)
{
    struct string *s = run_take(r, sizeof *s + bytes + 1);
    if (!s)
        return -ERR_PARSE;
    if (bytes)
        memcpy(s->text, text, bytes);
    s->bytes = bytes;
    s->chars = utf8_chars(text, bytes);
    *out = value_string(s);
    return 0;
}

static int check_output(struct run *r)
{
    return buf_overflowed(&r->out->text)
               ? run_error(r, "more than %zu MiB of text", JINJA_OUTPUT_BYTES_MAX >> 20)
               : 0;
}

int run_cut(struct run *r, size_t mark, struct value *out)
{
    struct buf *b = &r->out->text;
    if (check_output(r) < 0)
        return -ERR_PARSE;
    int rc = run_string(r, buf_str(b) + mark, b->len - mark, out);
    b->len = mark;
    if (b->data)
        b->data[mark] = 0;
    return rc;
}

struct list *run_list(struct run *r, size_t n)
{
    struct list *l = NULL;
    if (n <= JINJA_MEMORY_BYTES_MAX / sizeof l->at[0])
        l = run_take(r, sizeof *l + n * sizeof l->at[0]);
    else
        run_error(r, "more than %zu MiB of memory are needed",
                  JINJA_MEMORY_BYTES_MAX >> 20);
    if (l)
        l->n = n;
    return l;
}

/* ---- scopes ------------------------------------------------------------------------- */

int scope_push(struct run *r, struct scope *parent)
{
    struct scope *s = run_take(r, sizeof *s);
    if (!s)
        return -ERR_PARSE;
    s->parent = parent;
    r->scope = s;
    return 0;
}

int scope_set(struct run *r, uint32_t name, struct value v)
{
    struct binding *b = r->scope->first;
    while (b && b->name != name)
        b = b->next;
    if (!b) {
        if (!(b = run_take(r, sizeof *b)))
            return -ERR_PARSE;
        *b = (struct binding){r->scope->first, name, v};
        r->scope->first = b;
    }
    b->value = v;
    return 0;
}

struct value scope_get(const struct run *r, uint32_t name)
{
    for (const struct scope *s = r->scope; s; s = s->parent)
        for (const struct binding *b = s->first; b; b = b->next)
            if (b->name == name)
                return b->value;
    const struct routine *f = jinja_function(r->j->name_of[name]);
    if (f)
        return (struct value){.kind = V_FUNCTION, .function = f};
    return (struct value){.kind = V_UNDEFINED, .s = r->j->name_of[name]};
}

/* One target of set or for. */
static int assign_one(struct run *r, const struct node *target, struct value v)
{
    r->at = target;
    if (target->kind == N_NAME)
        return scope_set(r, target->name, v);
    struct value ns = scope_get(r, target->name);
    if (ns.kind != V_NAMESPACE)
        return run_error(r, "only a namespace's attributes can be set, not those of %s",
                         value_type(ns));
    if (target->value.s->text[0] == '_')
        return run_error(r, "a namespace's attribute cannot begin with '_'");
    return dict_put(r, ns.dict, target->value, v);
}

static int assign(struct run *r, uint32_t targets, struct value v)
{
    const struct node *target = &r->j->nodes[targets];
    struct list *items;
    size_t n = 0;
    if (!target->next)
        return assign_one(r, target, v);
    r->at = target;
    if (value_items(r, v, &items) < 0)
        return -ERR_PARSE;
    for (uint32_t t = targets; t; t = r->j->nodes[t].next)
        n++;
    if (n != items->n)
        return run_error(r, "%zu values for %zu names", items->n, n);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++, target = &r->j->nodes[target->next])
        rc = assign_one(r, target, items->at[i]);
    return rc;
}

/* ---- loops -------------------------------------------------------------------------- */

/* The items that meet the loop's condition. */
static int loop_filtered(struct run *r, const struct node *n, struct list **items)
{
    struct list *kept = run_list(r, (*items)->n);
    struct scope *outer = r->scope;
    int rc = kept ? 0 : -ERR_PARSE;
    size_t count = 0;
    for (size_t i = 0; rc >= 0 && i < (*items)->n; i++) {
        struct value keep;
        if ((rc = scope_push(r, outer)) >= 0 &&
            (rc = assign(r, n->a, (*items)->at[i])) >= 0 &&
            (rc = jinja_evaluate(r, n->d, &keep)) >= 0 && value_truth(keep))
            kept->at[count++] = (*items)->at[i];
    }
    r->scope = outer;
    if (rc >= 0) {
        kept->n = count;
        *items = kept;
    }
    return rc;
}

static int loop_turns(struct run *r, const struct node *n, struct list *items)
{
    struct scope *outer = r->scope;
    int64_t name = -1;
    int rc = 0;
    strmap_get(r->j->names, "loop", 4, &name);
    for (size_t i = 0; i < items->n && rc >= 0 && rc != JUMP_BREAK; i++) {
        struct loop *loop = run_take(r, sizeof *loop);
        if (!loop)
            return -ERR_PARSE;
        *loop = (struct loop){{.kind = V_LIST, .list = items}, i, r->loop_depth};
        if ((rc = scope_push(r, outer)) < 0 || (rc = assign(r, n->a, items->at[i])) < 0)
            break;
        if (name >= 0)
            rc = scope_set(r, (uint32_t)name,
                           (struct value){.kind = V_LOOP, .loop = loop});
        if (rc >= 0)
            rc = jinja_execute(r, n->c);
    }
    r->scope = outer;
    return rc < 0 ? rc : 0;
}

static int execute_for(struct run *r, const struct node *n)
{
    struct value what;
    struct list *items;
    int rc = jinja_evaluate(r, n->b, &what);
    r->at = n;
    if (rc >= 0)
        rc = value_items(r, what, &items);
    if (rc >= 0 && n->d)
        rc = loop_filtered(r, n, &items);
    if (rc < 0)
        return rc;
    if (items->n == 0 && n->e) {
        struct scope *outer = r->scope;
        if ((rc = scope_push(r, outer)) >= 0)
            rc = jinja_execute(r, n->e);
        r->scope = outer;
        return rc;
    }
    r->loop_depth++;
    rc = loop_turns(r, n, items);
    r->loop_depth--;
    return rc;
}

/* ---- macros, blocks, generation ----------------------------------------------------- */

static int bind_parameters(struct run *r, const struct node *m, struct call *c)
{
    size_t i = 0, used = 0;
    for (uint32_t p = m->a; p; p = r->j->nodes[p].next, i++) {
        const struct node *parameter = &r->j->nodes[p];
        const struct string *name = r->j->name_of[parameter->name];
        struct value v = {.kind = V_UNDEFINED, .s = name};
        size_t k = 0;
        while (k < c->n_named &&
               !(c->name[k]->bytes == name->bytes &&
                 memcmp(c->name[k]->text, name->text, name->bytes) == 0))
            k++;
        used += k < c->n_named;
        if (k < c->n_named && i < c->n)
            return run_error(r, "argument '%s' is given twice", name->text);
        if (i < c->n)
            v = c->at[i];
        else if (k < c->n_named)
            v = c->named[k];
        else if (parameter->a && jinja_evaluate(r, parameter->a, &v) < 0)
            return -ERR_PARSE;
        if (scope_set(r, parameter->name, v) < 0)
            return -ERR_PARSE;
    }
    if (c->n > i || used < c->n_named)
        return run_error(r, "macro '%s' takes no such argument", m->value.s->text);
    return 0;
}

/* Runs a body whose text becomes a value. */
static int capture(struct run *r, uint32_t body, struct value *out)
{
    size_t mark = r->out->text.len;
    r->captures++;
    int rc = jinja_execute(r, body);
    r->captures--;
    return rc < 0 ? rc : run_cut(r, mark, out);
}

int macro_call(struct run *r, const struct macro *m, struct call *c, struct value *out)
{
    const struct node *n = &r->j->nodes[m->node];
    struct scope *caller = r->scope;
    int rc = scope_push(r, m->scope);
    if (rc >= 0)
        rc = bind_parameters(r, n, c);
    if (rc >= 0)
        rc = capture(r, n->b, out);
    r->scope = caller;
    return rc;
}

static int execute_macro(struct run *r, const struct node *n)
{
    struct macro *m = run_take(r, sizeof *m);
    if (!m)
        return -ERR_PARSE;
    *m = (struct macro){(uint32_t)(n - r->j->nodes), r->scope};
    return scope_set(r, n->name, (struct value){.kind = V_MACRO, .macro = m});
}

static int execute_set_block(struct run *r, const struct node *n)
{
    struct scope *outer = r->scope;
    struct value v;
    int rc = scope_push(r, outer);
    if (rc >= 0)
        rc = capture(r, n->b, &v);
    r->scope = outer;
    return rc < 0 ? rc : assign(r, n->a, v);
}

/* Code points of the text so far, which only grows here. */
static size_t text_chars(struct run *r)
{
    const struct buf *b = &r->out->text;
    r->counted_chars +=
        utf8_chars(buf_str(b) + r->counted_bytes, b->len - r->counted_bytes);
    r->counted_bytes = b->len;
    return r->counted_chars;
}

static int execute_generation(struct run *r, const struct node *n)
{
    struct jinja_output *o = r->out;
    struct scope *outer = r->scope;
    if (r->captures > 0)
        return run_error(r, "{%% generation %%} within a macro or a set block has no "
                            "place in the text");
    size_t begin = text_chars(r);
    int rc = scope_push(r, outer);
    if (rc >= 0)
        rc = jinja_execute(r, n->a);
    r->scope = outer;
    if (rc < 0)
        return rc;
    o->spans = xgrow(o->spans, &o->spans_cap, o->n_spans + 1, sizeof *o->spans);
    o->spans[o->n_spans][0] = begin;
    o->spans[o->n_spans++][1] = text_chars(r);
    return 0;
}

/* ---- statements --------------------------------------------------------------------- */

static int execute_if(struct run *r, const struct node *n)
{
    struct value condition;
    for (; n->kind == N_IF; n = &r->j->nodes[n->c]) {
        int rc = jinja_evaluate(r, n->a, &condition);
        if (rc < 0)
            return rc;
        if (value_truth(condition))
            return jinja_execute(r, n->b);
        if (!n->c)
            return 0;
    }
    return jinja_execute(r, (uint32_t)(n - r->j->nodes));
}

static int execute_one(struct run *r, const struct node *n)
{
    struct value v;
    int rc = 0;
    switch ((enum node_kind)n->kind) {
    case N_DATA:
        buf_add(&r->out->text, n->value.s->text, n->value.s->bytes);
        return run_work(r, n->value.s->bytes) < 0 ? -ERR_PARSE : check_output(r);
    case N_OUTPUT:
        if ((rc = jinja_evaluate(r, n->a, &v)) >= 0) {
            r->at = n;
            rc = value_print(r, v);
        }
        return rc < 0 ? rc : check_output(r);
    case N_FOR:
        return execute_for(r, n);
    case N_IF:
        return execute_if(r, n);
    case N_SET:
        rc = jinja_evaluate(r, n->b, &v);
        return rc < 0 ? rc : assign(r, n->a, v);
    case N_SET_BLOCK:
        return execute_set_block(r, n);
    case N_MACRO:
        return execute_macro(r, n);
    case N_GENERATION:
        return execute_generation(r, n);
    case N_BREAK:
        return JUMP_BREAK;
    case N_CONTINUE:
        return JUMP_CONTINUE;
    default:
        return run_error(r, "internal error: node %d is no statement", n->kind);
    }
}

int jinja_execute(struct run *r, uint32_t first)
{
    int rc = 0;
    r->at = &r->j->nodes[first];
    if (++r->depth > JINJA_DEPTH_MAX)
        rc = run_error(r,
                       "more than %d levels in one another - does a macro call itself "
                       "without end?",
                       JINJA_DEPTH_MAX);
    for (uint32_t i = first; i && rc == 0; i = r->j->nodes[i].next) {
        r->at = &r->j->nodes[i];
        if ((rc = run_work(r, 0)) >= 0)
            rc = execute_one(r, &r->j->nodes[i]);
    }
    r->depth--;
    return rc;
}

/* Variables that the template does not name are of no interest. */
static int bind_variables(struct run *r, const json_t *variables)
{
    for (void *it = json_object_iter((json_t *)variables); it;
         it = json_object_iter_next((json_t *)variables, it)) {
        struct value v;
        int64_t name;
        if (!strmap_get(r->j->names, json_object_iter_key(it),
                        json_object_iter_key_len(it), &name))
            continue;
        int rc = value_from_json(r, json_object_iter_value(it), &v);
        if (rc < 0 || (rc = scope_set(r, (uint32_t)name, v)) < 0)
            return rc;
    }
    return 0;
}

int jinja_render(const struct jinja *j, const json_t *variables, const struct tm *now,
                 struct jinja_output *out, struct err *err)
{
    struct run r = {.j = j,
                    .arena.max = JINJA_MEMORY_BYTES_MAX,
                    .at = &j->nodes[0],
                    .steps = JINJA_STEPS_MAX,
                    .out = out,
                    .now = now,
                    .err = err};
    buf_clear(&out->text);
    out->n_spans = 0;
    int rc = scope_push(&r, NULL);
    if (rc >= 0)
        rc = bind_variables(&r, variables);
    if (rc >= 0)
        rc = jinja_execute(&r, j->root);
    arena_release(&r.arena);
    return rc;
}
