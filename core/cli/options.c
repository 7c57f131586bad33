/*
 * options: command lines parsed by the commands' tables, and help printed from them.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"

#define LONG_BASE 256 /* getopt_long: long options by number, short ones are characters */

static const struct cli_option common[] = {
    {"data-dir", 'd', "DIR", "data directory (default: $LEAT_DATA_DIR, else ./leat-data)", NULL},
    {"output", 'o', "FORMAT", "text or json", "text json"},
    {"help", 'h', NULL, "show this help", NULL},
};
#define COMMON (sizeof common / sizeof common[0])

const struct cli_option *cli_common_options(size_t *n)
{
    *n = COMMON;
    return common;
}

static size_t option_total(const struct cli_command *command)
{
    return command->option_count + COMMON;
}

static const struct cli_option *option_at(const struct cli_command *command, size_t i)
{
    return i < command->option_count ? &command->options[i] : &common[i - command->option_count];
}

static bool allowed(const struct cli_option *o, const char *value)
{
    size_t n = strlen(value);
    for (const char *p = o->choices; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strcspn(p, " ") == n && memcmp(p, value, n) == 0)
            return true;
    return o->choices == NULL;
}

static int take(struct cli *c, size_t i, const char *value)
{
    const struct cli_option *o = option_at(c->command, i);
    if (value && !allowed(o, value))
        return cli_error(EXIT_USAGE, "--%s: '%s' is not one of: %s", o->name, value, o->choices);
    if (c->counts[i] == CLI_REPEAT_MAX)
        return cli_error(EXIT_USAGE, "--%s: given more than %d times", o->name, CLI_REPEAT_MAX);
    c->values[i][c->counts[i]++] = value ? value : "";
    return -1;
}

/* What getopt_long did not like, in our words. `got` is its answer, `word` the argument that it looked at. */
static int bad_option(const struct cli_command *command, int got, const char *word)
{
    const char *names[CLI_OPTIONS_MAX], *near = NULL;
    char name[64] = "";
    for (size_t i = 0; i < option_total(command); i++)
        names[i] = option_at(command, i)->name;
    if (optopt >= LONG_BASE)
        snprintf(name, sizeof name, "--%s", names[optopt - LONG_BASE]);
    else if (optopt)
        snprintf(name, sizeof name, "-%c", optopt);
    if (got == ':')
        return cli_error(EXIT_USAGE, "%s needs a value; see leat %s --help", name, command->name);
    if (optopt >= LONG_BASE)
        return cli_error(EXIT_USAGE, "%s takes no value; see leat %s --help", name, command->name);
    if (!optopt) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
        near = config_nearest(name + 2, names, option_total(command));
    }
    return cli_error(EXIT_USAGE, "there is no option %s%s%s%s; see leat %s --help", name,
                     near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "", command->name);
}

static void fill_getopt(const struct cli_command *command, struct option *longs, char *shorts)
{
    *shorts++ = ':'; /* we speak ourselves */
    for (size_t i = 0; i < option_total(command); i++) {
        const struct cli_option *o = option_at(command, i);
        longs[i] =
            (struct option){o->name, o->arg ? required_argument : no_argument, NULL, LONG_BASE + (int)i};
        if (o->letter) {
            *shorts++ = o->letter;
            if (o->arg)
                *shorts++ = ':';
        }
    }
    *shorts = '\0';
}

int cli_parse(struct cli *c, const struct cli_command *command, int argc, char **argv)
{
    struct option longs[CLI_OPTIONS_MAX + 1] = {0};
    char shorts[2 * CLI_OPTIONS_MAX + 2];
    *c = (struct cli){.command = command};
    assert(option_total(command) <= CLI_OPTIONS_MAX);
    fill_getopt(command, longs, shorts);
    optind = 0; /* glibc: forget a scan that ended early */
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        size_t i = got >= LONG_BASE ? (size_t)(got - LONG_BASE) : 0;
        if (got == '?' || got == ':')
            return bad_option(command, got, argv[optind - 1]);
        while (got < LONG_BASE && option_at(command, i)->letter != got)
            i++;
        int rc = take(c, i, optarg);
        if (rc != -1)
            return rc;
    }
    if (cli_flag(c, "help")) {
        cli_help(command);
        return cli_flush();
    }
    c->args = argv + optind;
    c->arg_count = argc - optind;
    if (c->arg_count < command->min_args || (command->max_args >= 0 && c->arg_count > command->max_args))
        return cli_error(EXIT_USAGE, "usage: leat %s%s%s  (see leat %s --help)", command->name,
                         *command->arguments ? " " : "", command->arguments, command->name);
    return -1;
}

size_t cli_values(const struct cli *c, const char *name, const char *const **values)
{
    for (size_t i = 0; i < option_total(c->command); i++)
        if (strcmp(option_at(c->command, i)->name, name) == 0) {
            *values = c->values[i];
            return c->counts[i];
        }
    return 0;
}

const char *cli_value(const struct cli *c, const char *name)
{
    const char *const *values;
    size_t n = cli_values(c, name, &values);
    return n ? values[n - 1] : NULL;
}

bool cli_flag(const struct cli *c, const char *name)
{
    return cli_value(c, name) != NULL;
}

bool cli_json(const struct cli *c)
{
    const char *format = cli_value(c, "output");
    return format && strcmp(format, "json") == 0;
}

bool cli_number(const struct cli *c, const char *name, int64_t fallback, int64_t min, int64_t max,
                int64_t *out)
{
    const char *text = cli_value(c, name);
    *out = fallback;
    if (!text)
        return true;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < min || v > max) {
        cli_error(EXIT_USAGE, "--%s: '%s' is not a whole number from %lld to %lld", name, text,
                  (long long)min, (long long)max);
        return false;
    }
    *out = v;
    return true;
}

/* ---- help
 * --------------------------------------------------------------------------------------------------- */

static void print_options(const struct cli_command *command)
{
    printf("\nOptions:\n");
    for (size_t i = 0; i < option_total(command); i++) {
        const struct cli_option *o = option_at(command, i);
        char left[64], letter[5] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-28s %s\n", left, o->doc);
    }
}

/* Commands of two words with the same first one stand in one row. Returns how many commands the row has taken. */
static size_t print_program_row(const struct cli_command *commands, size_t n)
{
    size_t first = strcspn(commands[0].name, " "), taken = 1;
    if (commands[0].name[first])
        while (taken < n && strncmp(commands[taken].name, commands[0].name, first + 1) == 0)
            taken++;
    if (taken == 1) {
        printf("  %-12s %s\n", commands[0].name, commands[0].summary);
        return 1;
    }
    printf("  %-12.*s ", (int)first, commands[0].name);
    for (size_t i = 0; i < taken; i++)
        printf("%s%s", commands[i].name + first + 1, i + 1 < taken ? ", " : "\n");
    return taken;
}

static void print_program(void)
{
    size_t n;
    const struct cli_command *commands = cli_commands(&n);
    printf("leat %s: pipelines over a built-in, durable topic store\n\nUsage: leat COMMAND [OPTION...] "
           "[ARGUMENT...]\n\n",
           LEAT_VERSION);
    for (size_t i = 0; i < n;)
        i += commands[i].hidden ? 1 : print_program_row(&commands[i], n - i);
    printf("\nleat COMMAND --help tells more, of a row's commands too. They work through the running hub or, "
           "when none\n"
           "runs, on the data directory itself. Exit codes: 0 fine, 1 failed, 2 usage, 3 configuration, 4 "
           "not found,\n"
           "5 busy or no hub.\n");
}

void cli_help(const struct cli_command *command)
{
    if (!command) {
        print_program();
        return;
    }
    printf("Usage: leat %s %s%s[OPTION...]\n\n%c%s.\n", command->name, command->arguments,
           command->arguments[0] ? " " : "", toupper((unsigned char)command->summary[0]),
           command->summary + 1);
    if (command->details)
        printf("\n%s\n", command->details);
    print_options(command);
}
