/*
 * bench: what the benchmarks' programs share: rows, and the limits that the figures stand beside, measured in the same run.
 *
 * A limit writes a new file, kept to the end of the program: a store keeps what it is given, so its writes always take fresh
 * memory of the page cache, which is several times slower than that of a file just removed (more so on virtual machines,
 * whose host backs memory at its first use). Where a limit rewrites an existing file, as a journal does, its name says so.
 */
#ifndef LEAT_TESTS_BENCH_H
#define LEAT_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MIB ((size_t)1 << 20)

extern const char *bench_dir; /* where everything is written */

void bench_must(int rc, const struct err *e); /* ends the program with the error's text */
double bench_since(int64_t start_ns);         /* seconds */

/* Prints one JSON object; tests/bench/run makes the table and the file of them. */
void bench_row(const char *name, double value, const char *unit, const char *reference,
               double reference_value);
/* With a second reference, under "other_...". */
void bench_row2(const char *name, double value, const char *unit, const char *reference,
                double reference_value, const char *other, double other_value);

uint8_t *bench_noise(size_t n); /* printable, does not compress well; page-aligned; mem_free */

/*
 * Uses so much memory of the page cache and gives it back. A virtual machine's host may take free memory away within seconds,
 * and then the first use of a page costs ten times what it costs later; so each measurement, of a limit as of the store,
 * begins with memory that was just used.
 */
void bench_warm(size_t bytes);

int bench_scratch(char **path); /* a new empty file: its descriptor, and its path (mem_free) */

/*
 * Writes `bytes` and calls fdatasync, one after another for about `seconds`: times a second. Growing: a new file. Else a file
 * that was filled once is written over from its start.
 */
double bench_raw_sync(const uint8_t *data, size_t bytes, bool growing, double seconds);

/* memcpy of records into a batch of `bytes`, its CRC-32C, a write into a new file, for about `seconds`: bytes a second. */
double bench_raw_copy(const uint8_t *data, size_t record, size_t bytes, double seconds);

#endif
