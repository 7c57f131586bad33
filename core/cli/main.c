/*
 * main: finds the command and runs it. Everything else is in the files named after the commands.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "cli/cli.h"

/* A command is one or two words; returns how many of them fit, 0 for none. */
static int words_match(const struct cli_command *command, int argc, char **argv)
{
    const char *space = strchr(command->name, ' ');
    if (!space)
        return argc > 1 && strcmp(argv[1], command->name) == 0 ? 1 : 0;
    size_t first = (size_t)(space - command->name);
    return argc > 2 && strlen(argv[1]) == first && memcmp(argv[1], command->name, first) == 0 &&
                   strcmp(argv[2], space + 1) == 0
               ? 2
               : 0;
}

/* `leat topics` alone: what can follow it. */
static bool list_group(const char *word)
{
    size_t n, len = strlen(word);
    bool any = false;
    const struct cli_command *commands = cli_commands(&n);
    for (size_t i = 0; i < n; i++)
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            fprintf(stderr, "%s  leat %-20s %s\n", any ? "" : "leat: one more word is needed:\n",
                    commands[i].name, commands[i].summary);
            any = true;
        }
    return any;
}

static int unknown(const char *word)
{
    size_t n;
    const struct cli_command *commands = cli_commands(&n);
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < n && count < 64; i++)
        names[count++] = commands[i].name;
    const char *near = config_nearest(word, names, count);
    return cli_error(EXIT_USAGE, "there is no command '%s'%s%s%s; leat --help lists them", word,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

int main(int argc, char **argv)
{
    size_t n;
    const struct cli_command *commands = cli_commands(&n);
    if (!fault_from_env())
        return EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, said by the command */
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        cli_help(NULL);
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = (char[]){"version"};
    for (size_t i = 0; i < n; i++) {
        struct cli c;
        int words = words_match(&commands[i], argc, argv);
        if (words == 0)
            continue;
        int rc = cli_parse(&c, &commands[i], argc - words, argv + words);
        return rc == -1 ? commands[i].run(&c) : rc;
    }
    return list_group(argv[1]) ? EXIT_USAGE : unknown(argv[1]);
}
