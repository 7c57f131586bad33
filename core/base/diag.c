/*
 * diag: see diag.h. Setup is done once by main before threads start; afterwards any thread may write.
 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static _Atomic int threshold = DIAG_INFO;
static _Atomic int line_format = DIAG_TEXT;
static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void diag_setup(enum diag_level level, enum diag_format format)
{
    atomic_store(&threshold, (int)level);
    atomic_store(&line_format, (int)format);
}

void diag_set_level(enum diag_level level)
{
    atomic_store(&threshold, (int)level);
}

bool diag_level_parse(const char *name, enum diag_level *level)
{
    for (int i = 0; i <= DIAG_OFF; i++)
        if (strcasecmp(name, level_names[i]) == 0) {
            *level = (enum diag_level)i;
            return true;
        }
    return false;
}

const char *diag_level_name(enum diag_level level)
{
    return level_names[level];
}

bool diag_enabled(enum diag_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed) && level < DIAG_OFF;
}

void diag_one_line(char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = ' ';
}

void diag(enum diag_level level, const char *component, const char *fmt, ...)
{
    if (!diag_enabled(level))
        return;
    static const char *const shown[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    char message[2048], line[4096], stamp[32];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    clock_format_utc(clock_wall_ms(), stamp, sizeof stamp);
    size_t n;
    if (atomic_load(&line_format) == DIAG_JSON) {
        struct err e;
        struct buf b;
        buf_init(&b, sizeof line * 4);
        if (buf_printf(&b, &e, "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":", stamp, level_names[level]) ||
            buf_json_str(&b, component, strlen(component), &e) || buf_str(&b, ",\"message\":", &e) ||
            buf_json_str(&b, message, strlen(message), &e) || buf_str(&b, "}\n", &e)) {
            buf_free(&b);
            return; /* no memory to say it */
        }
        ssize_t ignored = write(STDERR_FILENO, b.data, b.len);
        (void)ignored; /* nobody is left to tell */
        buf_free(&b);
        return;
    }
    diag_one_line(message);
    n = (size_t)snprintf(line, sizeof line, "%s %s %s: %s\n", stamp, shown[level], component, message);
    ssize_t ignored = write(STDERR_FILENO, line, n < sizeof line ? n : sizeof line - 1);
    (void)ignored;
}
