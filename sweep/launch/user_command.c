/* sweep/launch/user_command.c - the words of a user's command line; running it is
 * user_command_run.c. */
#include "sweep/launch/user_command.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "sweep/file/file_parts.h"
#include "sweep/space/value.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 4096

static void add_text(json_t *words, const char *text)
{
    json_array_append_new(words, json_string(text));
}

/* Text as it is, numbers shortest, lists and objects as JSON. Python's words where the
 * program is fed as W&B feeds it. */
static void put_value(struct buf *out, const json_t *v, bool python)
{
    if (json_is_string(v))
        buf_str_add(out, json_string_value(v));
    else if (python && json_is_boolean(v))
        buf_str_add(out, json_is_true(v) ? "True" : "False");
    else if (python && json_is_null(v))
        buf_str_add(out, "None");
    else
        json_write(out, v, 0);
}

/* All that the program is told: the parameters, and the seed where the file has seeds. */
static json_t *told_params(const struct user_trial *t)
{
    json_t *all = json_copy((json_t *)t->params);
    if (json_object_get(t->file, "seeds") && !json_object_get(all, "seed"))
        json_object_set_new(all, "seed", json_integer((json_int_t)t->seed));
    return all;
}

static char *params_file(const struct user_trial *t)
{
    return fs_join(t->run_dir, "params.json");
}

/* ---- W&B's macros ---- */

static bool on_path(const char *name)
{
    const char *path = getenv("PATH");
    char *copy = xstrdup(path ? path : "/usr/bin:/bin"), *save = NULL;
    bool found = false;
    for (char *dir = strtok_r(copy, ":", &save); dir && !found;
         dir = strtok_r(NULL, ":", &save)) {
        char *file = fs_join(dir, name);
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(copy);
    return found;
}

static void put_env(const struct user_trial *t, json_t *words)
{
    (void)t;
    add_text(words, "/usr/bin/env");
}

static void put_interpreter(const struct user_trial *t, json_t *words)
{
    const char *given = getenv("PEFTLAB_PYTHON");
    (void)t;
    add_text(words, given && *given ? given : on_path("python") ? "python" : "python3");
}

/* A name without a slash is a file of the sweep's folder first, a program of PATH
 * then. */
static void put_program(const struct user_trial *t, json_t *words)
{
    const char *program = json_get_str(t->file, "program", "");
    char *here = fs_join(t->base_dir, program), *dotted = xasprintf("./%s", program);
    add_text(words, !strchr(program, '/') && fs_exists(here) ? dotted : program);
    free(here);
    free(dotted);
}

enum args_form { ARGS_FLAGS, ARGS_PLAIN_FLAGS, ARGS_NO_BOOLEANS, ARGS_NO_HYPHENS };

static void put_args_as(const struct user_trial *t, json_t *words, enum args_form form)
{
    const char *key;
    json_t *value, *all = told_params(t);
    json_object_foreach(all, key, value)
    {
        struct buf word = BUF_INIT;
        const bool flag = form == ARGS_NO_BOOLEANS && json_is_boolean(value);
        buf_printf(&word, "%s%s", form == ARGS_NO_HYPHENS ? "" : "--", key);
        if (!flag) {
            buf_char(&word, '=');
            put_value(&word, value, form != ARGS_PLAIN_FLAGS);
        }
        if (!flag || json_is_true(value))
            add_text(words, buf_str(&word));
        buf_release(&word);
    }
    json_decref(all);
}

static void put_args(const struct user_trial *t, json_t *words)
{
    put_args_as(t, words, ARGS_FLAGS);
}

static void put_args_no_booleans(const struct user_trial *t, json_t *words)
{
    put_args_as(t, words, ARGS_NO_BOOLEANS);
}

static void put_args_no_hyphens(const struct user_trial *t, json_t *words)
{
    put_args_as(t, words, ARGS_NO_HYPHENS);
}

static void put_args_json(const struct user_trial *t, json_t *words)
{
    struct buf text = BUF_INIT;
    json_t *all = told_params(t);
    json_write(&text, all, 0);
    add_text(words, buf_str(&text));
    json_decref(all);
    buf_release(&text);
}

static void put_args_json_file(const struct user_trial *t, json_t *words)
{
    char *path = params_file(t);
    add_text(words, path);
    free(path);
}

static const struct macro {
    const char *name;
    void (*put)(const struct user_trial *t, json_t *words);
} macros[] = {
    {"${env}", put_env},
    {"${interpreter}", put_interpreter},
    {"${program}", put_program},
    {"${args}", put_args},
    {"${args_no_boolean_flags}", put_args_no_booleans},
    {"${args_no_hyphens}", put_args_no_hyphens},
    {"${args_json}", put_args_json},
    {"${args_json_file}", put_args_json_file},
};

static const struct macro *find_macro(const char *item)
{
    for (size_t i = 0; i < ARRAY_LEN(macros); i++)
        if (!strcmp(item, macros[i].name))
            return &macros[i];
    return NULL;
}

/* ---- {name} and ${envvar:NAME} within an item ---- */

static const char *const own_names[] = {"seed", "trial", "run_dir", "params_file"};

/* Length of "{name}" at s, 0 when it is none. */
static size_t placeholder(const char *s)
{
    size_t n = 1;
    if (s[0] != '{' || !(isalpha((unsigned char)s[1]) || s[1] == '_'))
        return 0;
    while (isalnum((unsigned char)s[n]) || (s[n] && strchr("_.-/", s[n])))
        n++;
    return s[n] == '}' ? n + 1 : 0;
}

/* Length of "${envvar:NAME}" at s, 0 when it is none. */
static size_t env_reference(const char *s)
{
    const char *end = str_has_prefix(s, "${envvar:") ? strchr(s, '}') : NULL;
    return end ? (size_t)(end - s) + 1 : 0;
}

static bool put_own(const struct user_trial *t, const char *name, struct buf *out)
{
    if (str_eq(name, "seed")) {
        buf_printf(out, "%llu", (unsigned long long)t->seed);
    } else if (str_eq(name, "trial")) {
        buf_printf(out, "%lld", (long long)t->trial);
    } else if (str_eq(name, "run_dir")) {
        buf_str_add(out, t->run_dir);
    } else if (str_eq(name, "params_file")) {
        char *path = params_file(t);
        buf_str_add(out, path);
        free(path);
    } else {
        return false;
    }
    return true;
}

/* What a reference of `len` bytes stands for. 1: put, 0: an absent parameter. */
static int put_reference(const struct user_trial *t, const char *s, size_t len,
                         struct buf *out, struct err *err)
{
    int rc = 1;
    if (*s == '$' && t->without_secrets) {
        buf_add(out, s, len);
        return 1;
    }
    if (*s == '$') {
        char *name = xstrndup(s + 9, len - 10);
        const char *value = getenv(name);
        if (value)
            buf_str_add(out, value);
        else
            rc = err_set(err, ERR_CONFIG,
                         "command: the environment has no variable '%s', which "
                         "${envvar:%s} asks for",
                         name, name);
        free(name);
        return rc;
    }
    char *name = xstrndup(s + 1, len - 2);
    const json_t *value = json_object_get(t->params, name);
    if (value && t->without_secrets && secret_name(name))
        buf_str_add(out, SECRET_SHOWN);
    else if (value)
        put_value(out, value, false);
    else
        rc = put_own(t, name, out);
    free(name);
    return rc;
}

/* An item with all references replaced. 0: leave it out. *whole: it is nothing but one
 * reference. */
static int expand_item(const struct user_trial *t, const char *item, struct buf *out,
                       bool *whole, struct err *err)
{
    int rc = 1;
    *whole = placeholder(item) == strlen(item);
    for (const char *s = item; *s && rc > 0;) {
        const size_t name = placeholder(s), len = name ? name : env_reference(s);
        if (len) {
            rc = put_reference(t, s, len, out, err);
            s += len;
        } else {
            const bool doubled = (*s == '{' || *s == '}') && s[1] == *s;
            buf_char(out, *s);
            s += doubled ? 2 : 1;
        }
    }
    return rc;
}

static bool is_bare_flag(const json_t *word)
{
    const char *text = json_string_value(word);
    return text && text[0] == '-' && !strchr(text, '=');
}

static int put_item(const struct user_trial *t, const char *item, json_t *words,
                    struct err *err)
{
    struct buf text = BUF_INIT;
    const struct macro *m = find_macro(item);
    bool whole;
    if (m) {
        m->put(t, words);
        return 0;
    }
    int rc = expand_item(t, item, &text, &whole, err);
    const size_t count = json_array_size(words);
    if (rc > 0)
        add_text(words, buf_str(&text));
    else if (rc == 0 && whole && count && is_bare_flag(json_array_get(words, count - 1)))
        json_array_remove(words, count - 1);
    buf_release(&text);
    return rc < 0 ? rc : 0;
}

/* ---- the command ---- */

bool user_command_wanted(const json_t *file)
{
    return json_object_get(file, "command") || json_object_get(file, "program");
}

/* The items of `command`, or what W&B takes without it. New reference. */
static json_t *command_items(const json_t *file)
{
    json_t *command = json_object_get(file, "command");
    if (command)
        return json_incref(command);
    if (str_has_suffix(json_get_str(file, "program", ""), ".py"))
        return json_pack("[s, s, s, s]", "${env}", "${interpreter}", "${program}",
                         "${args}");
    return json_pack("[s, s]", "${program}", "${args}");
}

static void add_script(json_t *scripts, const char *name, const char *base_dir)
{
    enum { BYTES_MAX = 64 << 20 };
    char *path = fs_join(base_dir, name), hash[SHA256_HEX];
    struct stat st;
    if (*name && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= BYTES_MAX &&
        sha256_file(path, hash, NULL) == 0)
        json_object_set_new(scripts, name, json_string(hash));
    free(path);
}

void user_command_identity(const json_t *file, const char *base_dir, json_t *environment)
{
    json_t *scripts = json_object(), *items = command_items(file), *item;
    const char *program = json_get_str(file, "program", "");
    size_t i;
    json_array_foreach(items, i, item)
    {
        if (json_is_string(item))
            add_script(scripts, json_string_value(item), base_dir);
    }
    add_script(scripts, program, base_dir);
    json_object_set_new(environment, "command", items);
    json_object_set_new(environment, "program", json_string(program));
    json_object_set_new(environment, "scripts", scripts);
}

static bool has_reference(const char *item)
{
    if (find_macro(item))
        return strcmp(item, "${env}") != 0 && strcmp(item, "${interpreter}") != 0 &&
               strcmp(item, "${program}") != 0;
    for (; *item; item++) {
        if (placeholder(item))
            return true;
        if ((*item == '{' || *item == '}') && item[1] == *item)
            item++;
    }
    return false;
}

json_t *user_command_words(const struct user_trial *t, struct err *err)
{
    size_t i;
    int rc = 0;
    bool fed = false;
    json_t *item, *words = json_array(), *items = command_items(t->file);
    json_array_foreach(items, i, item)
    {
        struct buf text = BUF_INIT;
        put_value(&text, item, false);
        fed |= has_reference(buf_str(&text));
        if (rc == 0)
            rc = put_item(t, buf_str(&text), words, err);
        buf_release(&text);
    }
    json_decref(items);
    if (rc == 0 && !fed)
        put_args_as(t, words, ARGS_PLAIN_FLAGS);
    if (rc == 0 && (!json_array_size(words) || json_array_size(words) > WORDS_MAX))
        rc = err_set(err, ERR_CONFIG, "command: a command line has 1 to %d words",
                     WORDS_MAX);
    if (rc < 0) {
        json_decref(words);
        return NULL;
    }
    return words;
}

/* ---- checking a file ---- */

static int check_name(const struct sweep_file *f, const char *place, const char *name,
                      struct err *err)
{
    int64_t index;
    const char *names[SWEEP_PARAMS_MAX + ARRAY_LEN(own_names)];
    size_t count = 0;
    if (strmap_get(f->names, name, strlen(name), &index))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(own_names); i++) {
        if (str_eq(name, own_names[i]))
            return 0;
        names[count++] = own_names[i];
    }
    for (size_t i = 0; i < f->param_count && count < ARRAY_LEN(names); i++)
        names[count++] = f->params[i].name;
    const char *near = str_nearest(name, names, count);
    return sweep_file_error(f, place, err,
                            "'{%s}' names no parameter%s%s%s (write {{%s}} for the text "
                            "itself)",
                            name, near ? ": did you mean '{" : "", near ? near : "",
                            near ? "}'?" : "", name);
}

static int check_item(const struct sweep_file *f, const char *place, const json_t *item,
                      struct err *err)
{
    const char *text = json_string_value(item);
    int rc = 0;
    if (!text)
        return json_is_number(item) ? 0
                                    : sweep_file_error(f, place, err,
                                                       "each item of a command is a "
                                                       "text");
    if (find_macro(text))
        return str_eq(text, "${program}") &&
                       !json_object_get(conf_root(f->conf), "program")
                   ? sweep_file_error(f, place, err, "${program} without a 'program'")
                   : 0;
    const size_t len = strlen(text);
    if (str_has_prefix(text, "${") && text[len - 1] == '}' && !env_reference(text)) {
        const char *names[ARRAY_LEN(macros)];
        for (size_t i = 0; i < ARRAY_LEN(macros); i++)
            names[i] = macros[i].name;
        const char *near = str_nearest(text, names, ARRAY_LEN(macros));
        return sweep_file_error(f, place, err, "unknown macro '%s'%s%s%s", text,
                                near ? ": did you mean '" : "", near ? near : "",
                                near ? "'?" : "");
    }
    for (const char *s = text; *s && rc == 0;) {
        const size_t n = placeholder(s);
        char *name = n ? xstrndup(s + 1, n - 2) : NULL;
        const bool doubled = (*s == '{' || *s == '}') && s[1] == *s;
        if (name)
            rc = check_name(f, place, name, err);
        free(name);
        s += n ? n : doubled ? 2 : 1;
    }
    return rc;
}

int user_command_check(const struct sweep_file *f, struct err *err)
{
    const json_t *command = json_object_get(conf_root(f->conf), "command");
    size_t i;
    json_t *item;
    int rc = 0;
    if (!command)
        return *json_get_str(conf_root(f->conf), "program", "")
                   ? 0
                   : sweep_file_error(f, "program", err, "program is empty");
    if (!json_is_array(command) || !json_array_size(command) ||
        json_array_size(command) > WORDS_MAX)
        return sweep_file_error(f, "command", err,
                                "command is a list of words, as [python3, train.py]: it "
                                "is started without a shell");
    json_array_foreach(command, i, item)
    {
        char *place = xasprintf("command[%zu]", i);
        rc = check_item(f, place, item, err);
        free(place);
        if (rc < 0)
            break;
    }
    return rc;
}
