/*
 * Writes messages.h (a C struct for every struct of every message) and messages.c (the tables that decode.c,
 * encode.c and text.c work by) from the message files. Run by the build:
 *
 *   msggen DIRECTORY FILE.msg...
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

static const char *c_type(const char *type)
{
    static const char *const pairs[][2] = {
        {"bool", "bool"},
        {"int8", "int8_t"},
        {"int16", "int16_t"},
        {"uint16", "uint16_t"},
        {"int32", "int32_t"},
        {"int64", "int64_t"},
        {"float64", "double"},
        {"uuid", "struct uuid"},
        {"string", "struct msg_string"},
        {"bytes", "struct msg_bytes"},
        {"records", "struct msg_bytes"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(pairs[i][0], type) == 0)
            return pairs[i][1];
    return NULL;
}

static void write_struct(FILE *out, const struct group *g)
{
    fprintf(out, "struct msg_%s {\n", g->c_name);
    if (g->fields == NULL)
        fprintf(out, "    char nothing; /* no field */\n");
    for (const struct field *x = g->fields; x != NULL; x = x->next) {
        char name[128], type[300];
        schema_snake(x->name, name, sizeof name);
        if (x->of != NULL)
            snprintf(type, sizeof type, "struct msg_%s", x->of->c_name);
        else
            snprintf(type, sizeof type, "%s", c_type(x->type));
        bool pointer = x->of != NULL && !x->array && x->null_since <= VERSION_MAX;
        if (x->array)
            fprintf(out, "    MSG_ARRAY(%s) %s;", type, name);
        else
            fprintf(out, "    %s %s%s;", type, pointer ? "*" : "", name);
        fprintf(out, " /* %d%s", x->since, x->until == VERSION_MAX ? "+" : x->until > x->since ? "-" : "");
        if (x->until < VERSION_MAX && x->until > x->since)
            fprintf(out, "%d", x->until);
        if (x->null_since <= VERSION_MAX)
            fprintf(out, ", null from %d on", x->null_since);
        fprintf(out, " */\n");
    }
    fprintf(out, "};\n\nextern const struct msg_schema msg_schema_%s;\n\n", g->c_name);
}

static void write_kind(FILE *out, const struct field *x)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%s", x->of != NULL ? "struct" : x->type);
    for (char *c = kind; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    fprintf(out, "MSG_%s", kind);
}

static void write_table(FILE *out, const struct file *f, const struct message *m, const struct group *g)
{
    const char *name = g->c_name;
    int count = 0;
    if (g->fields != NULL)
        fprintf(out, "static const struct msg_field fields_%s[] = {\n", name);
    for (const struct field *x = g->fields; x != NULL; x = x->next, count++) {
        char member[128];
        schema_snake(x->name, member, sizeof member);
        fprintf(out, "    {.name = \"%s\", .offset = offsetof(struct msg_%s, %s), .kind = ", x->name, name,
                member);
        write_kind(out, x);
        fprintf(out, ", .since = %d, .until = %d, .null_since = %d, .tag = %d", x->since, x->until,
                x->null_since, x->tag);
        if (x->array)
            fprintf(out, ", .array = true");
        if (x->init != 0)
            fprintf(out, ", .init = %lld", x->init);
        if (x->init_null)
            fprintf(out, ", .init_null = true");
        if (x->of != NULL)
            fprintf(out, ", .of = &msg_schema_%s", x->of->c_name);
        fprintf(out, "},\n");
    }
    fprintf(out,
            "%s\nconst struct msg_schema msg_schema_%s = {\"%s\", %s%s, %d, sizeof(struct msg_%s), %d};\n\n",
            count > 0 ? "};" : "", name, g == m->top ? m->name : g->name, count > 0 ? "fields_" : "NULL",
            count > 0 ? name : "", count, name, f->flexible);
}

static FILE *create(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        exit(1);
    }
    fprintf(
        out,
        "/*\n * %s: made by core/protocol/gen from core/protocol/messages. Not to be changed by hand.\n */\n",
        name);
    return out;
}

static void finish(FILE *out)
{
    if (fflush(out) != 0 || ferror(out) || fclose(out) != 0) {
        perror("writing");
        exit(1);
    }
}

static void write_header(const char *directory, const struct file *files, int n)
{
    FILE *out = create(directory, "messages.h");
    fprintf(out, "#ifndef LEAT_PROTOCOL_MESSAGES_H\n#define LEAT_PROTOCOL_MESSAGES_H\n\n#include "
                 "\"protocol/message.h\"\n\n");
    for (int i = 0; i < n; i++) {
        const struct file *f = &files[i];
        fprintf(out, "/* ---- %s, versions %d to %d ---- */\n\n", f->name, f->since, f->until);
        if (f->api)
            fprintf(out, "#define MSG_KEY_%s %d\n\n", f->c_name, f->key);
        for (int k = 0; k < f->count; k++) {
            for (const struct group *g = f->messages[k].groups; g != NULL; g = g->next)
                write_struct(out, g);
        }
    }
    fprintf(out, "#endif\n");
    finish(out);
}

static int by_key(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : strcmp(x->name, y->name);
}

static void write_source(const char *directory, struct file *files, int n)
{
    FILE *out = create(directory, "messages.c");
    fprintf(out, "#include \"protocol/messages.h\"\n\n#include \"protocol/api.h\"\n\n");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < files[i].count; k++)
            for (const struct group *g = files[i].messages[k].groups; g != NULL; g = g->next)
                write_table(out, &files[i], &files[i].messages[k], g);
    fprintf(out, "const struct msg_api msg_apis[] = {\n");
    int count = 0;
    for (int i = 0; i < n; i++) {
        const struct file *f = &files[i];
        if (!f->api)
            continue;
        count++;
        fprintf(out, "    {\"%s\", %d, %d, %d, &msg_schema_%s, &msg_schema_%s},\n", f->name, f->key, f->since,
                f->until, f->messages[0].c_name, f->messages[1].c_name);
    }
    fprintf(out, "};\n\nconst size_t msg_api_count = %d;\n", count);
    finish(out);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s DIRECTORY FILE.msg...\n", argv[0]);
        return 2;
    }
    int n = argc - 2;
    struct file *files = calloc((size_t)n, sizeof *files);
    if (files == NULL)
        abort();
    for (int i = 0; i < n; i++)
        schema_read(argv[i + 2], &files[i]);
    qsort(files, (size_t)n, sizeof *files, by_key);
    for (int i = 1; i < n; i++)
        if (files[i].api && files[i].key == files[i - 1].key) {
            fprintf(stderr, "%s: key %d is that of %s, too\n", files[i].path, files[i].key,
                    files[i - 1].path);
            return 1;
        }
    write_header(argv[1], files, n);
    write_source(argv[1], files, n);
    return 0;
}
