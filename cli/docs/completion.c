/* cli/docs/completion.c - completion for bash and zsh: commands, verbs, flags, trial keys,
 * and the values of those that have a few. Everything else is completed as a file. */
#include "cli/command.h"
#include "cli/docs/docs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include "runner/options.h"
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64

static void put_flags(struct buf *out, const struct opt_table *t)
{
    for (size_t i = 0; t && i < t->count; i++) {
        opt_put_flag(out, &t->rows[i]);
        buf_char(out, ' ');
    }
    buf_str_add(out, "--help");
}

/* Trial keys as key= words, where the command takes them. */
static void put_keys(struct buf *out, const struct command *c)
{
    for (size_t i = 0; strstr(c->usage, "key=value") && i < trial_options.count; i++)
        buf_printf(out, "%s%s=", i ? " " : "", trial_options.rows[i].key);
}

/* One arm of a shell `case`: what follows the words of `name`. */
static void put_arm(struct buf *out, const char *name, const struct command *c)
{
    buf_printf(out, "    '%s')\n        flags='", name);
    if (c->verb)
        buf_str_add(out, "--help");
    else
        put_flags(out, c->options);
    buf_str_add(out, "'\n        keys='");
    put_keys(out, c);
    buf_str_add(out, "'\n        verbs='");
    const struct command *verb;
    for (size_t i = 0; c->verb && (verb = c->verb(i)); i++)
        buf_printf(out, "%s%s", i ? " " : "", verb->name);
    buf_str_add(out, "' ;;\n");
}

static void put_arms(struct buf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = command_at(i), *verb;
        put_arm(out, c->name, c);
        for (size_t k = 0; c->verb && (verb = c->verb(k)); k++) {
            char *name = xasprintf("%s %s", c->name, verb->name);
            put_arm(out, name, verb);
            free(name);
        }
    }
}

static void put_value_arm(struct buf *out, const char *pattern, const char *values)
{
    buf_printf(out, "    '%s') values='%s' ;;\n", pattern, values);
}

/* Values of flags by "COMMAND [VERB] --flag". */
static void put_flag_values(struct buf *out, const char *name, const struct command *c)
{
    for (size_t i = 0; c->options && i < c->options->count; i++) {
        const struct opt_def *def = &c->options->rows[i];
        struct buf values = BUF_INIT, pattern = BUF_INIT;
        docs_choices(&values, def);
        if (def->type != OPT_BOOL && values.len) {
            buf_printf(&pattern, "%s ", name);
            opt_put_flag(&pattern, def);
            put_value_arm(out, buf_str(&pattern), buf_str(&values));
        }
        buf_release(&values);
        buf_release(&pattern);
    }
}

static void put_all_values(struct buf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = command_at(i), *verb;
        put_flag_values(out, c->name, c);
        for (size_t k = 0; c->verb && (verb = c->verb(k)); k++) {
            char *name = xasprintf("%s %s", c->name, verb->name);
            put_flag_values(out, name, verb);
            free(name);
        }
    }
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *def = &trial_options.rows[i];
        struct buf values = BUF_INIT;
        char *pattern = xasprintf("%s=", def->key);
        docs_choices(&values, def);
        if (!strcmp(def->key, "method")) {
            const char *names[NAMES_MAX];
            const size_t n = method_names(names, NAMES_MAX);
            for (size_t k = 0; k < n; k++)
                buf_printf(&values, "%s%s", k ? " " : "", names[k]);
        }
        if (values.len)
            put_value_arm(out, pattern, buf_str(&values));
        free(pattern);
        buf_release(&values);
    }
}

/* Shared by both shells: _peftlab_words "COMMAND [VERB]" and _peftlab_values "..." set
 * `flags`, `keys`, `verbs` and `values`. */
static void put_tables(struct buf *out)
{
    buf_str_add(out, "# Made by 'peftlab docs'; do not edit.\n_peftlab_commands='");
    for (size_t i = 0; i < command_count; i++)
        buf_printf(out, "%s ", command_at(i)->name);
    buf_str_add(out, "help'\n\n_peftlab_words() {\n    flags= keys= verbs=\n"
                     "    case $1 in\n");
    put_arms(out);
    buf_str_add(out, "    esac\n}\n\n_peftlab_values() {\n    values=\n    case $1 in\n");
    put_all_values(out);
    buf_str_add(out, "    esac\n}\n\n");
}

void docs_bash(struct buf *out)
{
    put_tables(out);
    buf_str_add(
        out,
        "# bash splits words at '=', so that key=value comes as three.\n"
        "_peftlab() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local path=${COMP_WORDS[1]} flags keys verbs values of=\n"
        "    COMPREPLY=()\n"
        "    if [ \"$COMP_CWORD\" -le 1 ]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$_peftlab_commands\" -- "
        "\"$cur\")\n"
        "        return\n"
        "    fi\n"
        "    _peftlab_words \"$path\"\n"
        "    if [ -n \"$verbs\" ]; then\n"
        "        if [ \"$COMP_CWORD\" = 2 ]; then\n"
        "            mapfile -t COMPREPLY < <(compgen -W \"$verbs $flags\" -- \"$cur\")\n"
        "            return\n"
        "        fi\n"
        "        path=\"$path ${COMP_WORDS[2]}\"\n"
        "        _peftlab_words \"$path\"\n"
        "    fi\n"
        "    if [ \"$cur\" = = ]; then\n"
        "        of=$before cur=\n"
        "    elif [ \"$before\" = = ]; then\n"
        "        of=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "    fi\n"
        "    case $of in\n"
        "    -*) _peftlab_values \"$path $of\" ;;\n"
        "    ?*) _peftlab_values \"$of=\" ;;\n"
        "    *) _peftlab_values \"$path $before\" ;;\n"
        "    esac\n"
        "    if [ -n \"$values\" ]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n"
        "    elif [ -n \"$of\" ]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
        "    elif [[ $cur == -* ]]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")\n"
        "    else\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$keys\" -- \"$cur\"; compgen -f "
        "-- "
        "\"$cur\")\n"
        "        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null\n"
        "    fi\n"
        "}\n"
        "complete -o filenames -F _peftlab peftlab\n");
}

void docs_zsh(struct buf *out)
{
    buf_str_add(out, "#compdef peftlab\n");
    put_tables(out);
    buf_str_add(
        out,
        "_peftlab() {\n"
        "    local path_=$words[2] flags keys verbs values cur=$words[CURRENT]\n"
        "    if (( CURRENT <= 2 )); then\n"
        "        compadd -- ${=_peftlab_commands}\n"
        "        return\n"
        "    fi\n"
        "    _peftlab_words $path_\n"
        "    if [[ -n $verbs ]]; then\n"
        "        if (( CURRENT == 3 )); then\n"
        "            compadd -- ${=verbs} ${=flags}\n"
        "            return\n"
        "        fi\n"
        "        path_=\"$path_ $words[3]\"\n"
        "        _peftlab_words $path_\n"
        "    fi\n"
        "    if [[ $cur == *=* ]]; then\n"
        "        local of=${cur%%=*}\n"
        "        [[ $of == -* ]] && _peftlab_values \"$path_ $of\" || _peftlab_values "
        "\"$of=\"\n"
        "        compset -P '*='\n"
        "    else\n"
        "        _peftlab_values \"$path_ $words[CURRENT-1]\"\n"
        "    fi\n"
        "    if [[ -n $values ]]; then\n"
        "        compadd -- ${=values}\n"
        "    elif [[ $cur == -* ]]; then\n"
        "        compadd -- ${=flags}\n"
        "    elif [[ $cur == *=* ]]; then\n"
        "        _files\n"
        "    else\n"
        "        compadd -S '' -- ${=keys}\n"
        "        _files\n"
        "    fi\n"
        "}\n"
        "[[ $funcstack[1] = _peftlab ]] && _peftlab \"$@\" || compdef _peftlab "
        "peftlab\n");
}
