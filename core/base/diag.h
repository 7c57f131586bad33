/*
 * diag: the diagnostics log. One line an event on stderr, as text
 *   2026-11-20T19:13:02.123Z INFO  storage app-logs-0: cut 113 bytes after offset 42
 * or as JSON ({"ts","level","component","message"}). Any thread; a line is written with one write(2).
 */
#ifndef LEAT_BASE_DIAG_H
#define LEAT_BASE_DIAG_H

#include <stdbool.h>

enum diag_level { DIAG_DEBUG, DIAG_INFO, DIAG_WARN, DIAG_ERROR, DIAG_OFF };
enum diag_format { DIAG_TEXT, DIAG_JSON };

void diag_setup(enum diag_level level, enum diag_format format);
void diag_set_level(enum diag_level level);                      /* any thread, at any time */
bool diag_level_parse(const char *name, enum diag_level *level); /* debug, info, warn, error, off */
const char *diag_level_name(enum diag_level level);
bool diag_enabled(enum diag_level level);

void diag(enum diag_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Blanks for control characters, so that foreign text stays on its line. NULL is fine. */
void diag_one_line(char *s);

#define diag_debug(...) diag(DIAG_DEBUG, __VA_ARGS__)
#define diag_info(...) diag(DIAG_INFO, __VA_ARGS__)
#define diag_warn(...) diag(DIAG_WARN, __VA_ARGS__)
#define diag_error(...) diag(DIAG_ERROR, __VA_ARGS__)

#endif
