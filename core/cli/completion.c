/*
 * leat completion: scripts for bash and zsh, made from the tables of commands and options. Names of topics,
 * groups and connectors are asked of the hub when the user presses Tab.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void print_words(const struct cli_command *command)
{
    size_t n;
    const struct cli_option *common = cli_common_options(&n);
    for (size_t i = 0; i < command->option_count; i++)
        printf("--%s ", command->options[i].name);
    for (size_t i = 0; i < n; i++)
        printf("--%s ", common[i].name);
}

static void print_choices(const struct cli_command *command)
{
    size_t n;
    const struct cli_option *common = cli_common_options(&n);
    for (size_t i = 0; i < command->option_count + n; i++) {
        const struct cli_option *o =
            i < command->option_count ? &command->options[i] : &common[i - command->option_count];
        if (o->choices)
            printf("            '%s --%s') words='%s' ;;\n", command->name, o->name, o->choices);
    }
}

/* Bash expands the words that it completes from, so names with anything else than this are left out. */
#define SAFE "~/^[A-Za-z0-9._-]+$/"

/* How to list what the command's argument names. */
static const char *argument_source(const struct cli_command *command)
{
    if (strcmp(command->arguments, "TOPIC") == 0)
        return "leat topics list 2>/dev/null | awk 'NR>1 && $1" SAFE "{print $1}'";
    if (strcmp(command->arguments, "GROUP") == 0)
        return "leat groups list 2>/dev/null | awk 'NR>1 && $1" SAFE "{print $1}'";
    if (strcmp(command->arguments, "CONNECTOR") == 0)
        return "leat status 2>/dev/null | awk '/^PIPELINE/{on=1;next} on && $2" SAFE "{print $2} !NF{on=0}'";
    if (strcmp(command->arguments, "[PIPELINE]") == 0 || strncmp(command->arguments, "PIPELINE ", 9) == 0)
        return "leat status 2>/dev/null | awk '/^PIPELINE/{on=1;next} on && $1" SAFE
               "{print $1} !NF{on=0}' | sort -u";
    if (strcmp(command->arguments, "TYPE") == 0)
        return "leat plugins list 2>/dev/null | awk 'NR>1 && $1" SAFE "{print $1}'";
    if (strcmp(command->arguments, "SHELL") == 0)
        return "echo bash zsh";
    return NULL;
}

static void print_bash(void)
{
    size_t n;
    const struct cli_command *commands = cli_commands(&n);
    printf("# leat completion for bash\n_leat() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= "
           "cmd=${COMP_WORDS[1]}\n"
           "    COMPREPLY=()\n"
           "    case $cmd in topics|groups|plugins) [ \"$COMP_CWORD\" -gt 2 ] && cmd=\"$cmd "
           "${COMP_WORDS[2]}\" ;; esac\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then words='");
    const char *last = "";
    for (size_t i = 0; i < n; i++) {
        size_t word = strcspn(commands[i].name, " ");
        if (commands[i].hidden || (strlen(last) >= word && strncmp(commands[i].name, last, word) == 0))
            continue;
        printf("%.*s ", (int)word, commands[i].name);
        last = commands[i].name;
    }
    printf("'\n    else\n        case $cmd in\n");
    for (const char *const *g = (const char *const[]){"topics", "groups", "plugins", NULL}; *g; g++) {
        printf("            %s) words='", *g);
        for (size_t i = 0; i < n; i++)
            if (strncmp(commands[i].name, *g, strlen(*g)) == 0 && commands[i].name[strlen(*g)] == ' ')
                printf("%s ", commands[i].name + strlen(*g) + 1);
        printf("' ;;\n");
    }
    for (size_t i = 0; i < n; i++) {
        const char *source = argument_source(&commands[i]);
        if (commands[i].hidden)
            continue;
        printf("            '%s') words='", commands[i].name);
        print_words(&commands[i]);
        printf("'");
        if (source)
            printf("; [[ $cur == -* ]] || words=$(%s)", source);
        printf(" ;;\n");
    }
    printf("        esac\n        case \"$cmd $prev\" in\n");
    for (size_t i = 0; i < n; i++)
        if (!commands[i].hidden)
            print_choices(&commands[i]);
    printf("        esac\n    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    [[ ${#COMPREPLY[@]} = 0 && $cur != -* ]] && COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
           "complete -o filenames -F _leat leat\n");
}

int cmd_completion(struct cli *c)
{
    bool zsh = strcmp(c->args[0], "zsh") == 0;
    if (!zsh && strcmp(c->args[0], "bash") != 0)
        return cli_error(EXIT_USAGE, "there is completion for bash and zsh, not for '%s'", c->args[0]);
    if (zsh)
        printf("autoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
    return EXIT_FINE;
}
