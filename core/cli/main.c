/*
 * main: finds the command and runs it. Everything else is in the files named after the commands.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/files.h"
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

/* The words that begin commands of two words, and all commands of one, each once. */
static size_t first_words(const char **names, char (*words)[16], size_t max)
{
    size_t n, count = 0;
    const struct cli_command *commands = cli_commands(&n);
    for (size_t i = 0; i < n && count < max; i++) {
        size_t len = strcspn(commands[i].name, " ");
        if (commands[i].hidden || len >= sizeof words[0] ||
            (count && strlen(words[count - 1]) == len &&
             memcmp(words[count - 1], commands[i].name, len) == 0))
            continue;
        memcpy(words[count], commands[i].name, len);
        words[count][len] = '\0';
        names[count] = words[count];
        count++;
    }
    return count;
}

/* `leat topics` alone or with a wrong `second` word: what can follow it. */
static bool list_group(const char *word, const char *second, FILE *to)
{
    size_t n, len = strlen(word);
    bool any = false;
    const struct cli_command *commands = cli_commands(&n);
    for (size_t i = 0; i < n; i++)
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            if (!any && second)
                fprintf(to, "leat: there is no command '%s %s'; there are:\n", word, second);
            else if (!any && to == stderr)
                fprintf(to, "leat: one more word is needed:\n");
            fprintf(to, "  leat %-22s %s\n", commands[i].name, commands[i].summary);
            any = true;
        }
    return any;
}

static int unknown(const char *word)
{
    const char *names[64];
    char words[64][16] = {{0}};
    const char *near = config_nearest(word, names, first_words(names, words, 64));
    return cli_error(EXIT_USAGE, "there is no command '%s'%s%s%s; leat --help lists them", word,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* `leat help`, `leat help consume`, `leat topics --help`; false if it is something else. */
static bool help(int argc, char **argv, int *rc)
{
    bool first = is_help(argv[1]);
    size_t n;
    const struct cli_command *commands = cli_commands(&n);
    for (size_t i = 0; first && argc > 2 && i < n; i++)
        if (words_match(&commands[i], argc - 1, argv + 1)) {
            cli_help(&commands[i]);
            *rc = cli_flush();
            return true;
        }
    if (first && argc > 2)
        *rc = list_group(argv[2], NULL, stdout) ? cli_flush() : unknown(argv[2]);
    else if (first)
        *rc = (cli_help(NULL), cli_flush());
    else if (argc == 3 && is_help(argv[2]) && list_group(argv[1], NULL, stdout))
        *rc = cli_flush();
    else
        return false;
    return true;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    static struct cli c; /* not on the stack: threads of `leat run` may still look at it while main returns */
    int rc = cli_parse(&c, command, argc, argv);
    if (rc != -1)
        return rc;
    rc = command->run(&c);
    int flushed = cli_flush();
    return rc == EXIT_FINE ? flushed : rc;
}

int main(int argc, char **argv)
{
    static char version[] = "version";
    size_t n;
    int rc;
    const struct cli_command *commands = cli_commands(&n);
    if (!fault_from_env())
        return EXIT_USAGE;
    files_raise_limit();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, said by the command */
    if (argc < 2) {
        cli_help(NULL);
        return EXIT_USAGE;
    }
    if (help(argc, argv, &rc))
        return rc;
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    for (size_t i = 0; i < n; i++) {
        int words = words_match(&commands[i], argc, argv);
        if (words)
            return run_command(&commands[i], argc - words, argv + words);
    }
    return list_group(argv[1], argc > 2 ? argv[2] : NULL, stderr) ? EXIT_USAGE : unknown(argv[1]);
}
