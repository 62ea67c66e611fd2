/* Buttons as command lines: values never become flags, what is missing is named, what is
 * shown is what a shell would run. */
#include "cli/ui/verb.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *verb, *args, *shown;
} lines[] = {
    {"stop", "{\"sweep\": 3}", "peftlab sweep stop --store=/s.db -- 3"},
    {"stop", "{\"sweep\": \"3\", \"now\": true}",
     "peftlab sweep stop --now --store=/s.db -- 3"},
    {"stop", "{\"sweep\": 3, \"now\": false}", "peftlab sweep stop --store=/s.db -- 3"},
    {"resume", "{\"sweep\": 3, \"jobs\": 2}",
     "peftlab sweep resume --jobs=2 --store=/s.db -- 3"},
    {"clone", "{\"trial\": 7, \"changes\": [\"rank=8\", \"~alpha\"]}",
     "peftlab sweep clone --store=/s.db -- 7 rank=8 '~alpha'"},
    {"seeds", "{\"trial\": 7, \"count\": 2}", "peftlab sweep seeds --store=/s.db -- 7 2"},
    {"note", "{\"trial\": 7, \"text\": \"--store=/other\"}",
     "peftlab note --store=/s.db -- 7 --store=/other"},
    {"tag", "{\"trials\": [1, 2], \"tags\": \"a=b c\"}",
     "peftlab tag --store=/s.db -- 1 2 'a=b c'"},
    {"retire", "{\"trial\": 7}", "peftlab sweep retire --store=/s.db -- 7"},
};

static void values_stay_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct verb_words words;
        struct err err = ERR_INIT;
        json_t *args = json_loads(lines[i].args, 0, NULL);
        if (verb_line(verb_find(lines[i].verb), args, "/s.db", &words, &err) < 0)
            fail_msg("%s: %s", lines[i].args, err.msg);
        char *shown = verb_shown(&words);
        assert_string_equal(shown, lines[i].shown);
        free(shown);
        verb_words_release(&words);
        json_decref(args);
    }
}

static const struct {
    const char *verb, *args, *said;
} refused[] = {
    {"stop", "{}", "sweep is missing"},
    {"stop", "{\"sweep\": \"3 --now\"}", "sweep: a whole number"},
    {"stop", "{\"sweep\": -3}", "sweep: a whole number"},
    {"stop", "{\"sweep\": [3, 4]}", "sweep: one value"},
    {"stop", "{\"sweep\": {}}", "sweep: a text or a number"},
    {"clone", "{\"trial\": 7, \"changes\": []}", "changes is missing"},
    {"tag", "{\"trials\": [1, \"x\"], \"tags\": \"a\"}", "trials: a whole number"},
    {"note", "{\"trial\": 7}", "text is missing"},
    {"seeds", "{\"trial\": 7, \"count\": 2.5}", "count: a whole number"},
};

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct verb_words words;
        struct err err = ERR_INIT;
        json_t *args = json_loads(refused[i].args, 0, NULL);
        assert_int_equal(
            verb_line(verb_find(refused[i].verb), args, "/s.db", &words, &err),
            -ERR_USAGE);
        if (!strstr(err.msg, refused[i].said))
            fail_msg("'%s' lacks '%s'", err.msg, refused[i].said);
        json_decref(args);
    }
    struct verb_words words;
    struct err err = ERR_INIT;
    json_t *args = json_pack("{s:[], s:s}", "trials", "tags", "a=b");
    for (int i = 1; i <= 600; i++)
        json_array_append_new(json_object_get(args, "trials"), json_integer(i));
    assert_int_equal(verb_line(verb_find("tag"), args, "/s.db", &words, &err),
                     -ERR_USAGE);
    assert_non_null(strstr(err.msg, "trials: a command has more than 512 words"));
    json_decref(args);
    assert_null(verb_find("rm"));
    assert_null(verb_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stay_values),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
