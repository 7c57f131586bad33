/*
 * kit/compress: streaming compression of a file into a callback. The output depends on the concatenated
 * input, the codec and the level only, not on how the input was split into calls: input is gathered into
 * blocks of a fixed size first. A replay after a crash so writes the same bytes. (Same machine type and
 * library versions: ISA-L picks its kernels by CPU.)
 *
 *   gzip  ISA-L: one member, no name, mtime 0. Levels 0-9 of gzip map to ISA-L's 0-3 (0-1: 0, 2-3: 1, 4-6: 2,
 * 7-9: 3). zstd  libzstd: one frame with checksum.
 *
 * Task thread only.
 */
#ifndef LEAT_KIT_COMPRESS_H
#define LEAT_KIT_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* In the order of the choices of option `compression`. */
enum compress_codec { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD };

#define COMPRESS_LEVEL_DEFAULT (-1)
#define COMPRESS_BLOCK                                                                                       \
    (128u << 10) /* input is handed to the library, and output to `write`, in pieces of this size */

/* Takes finished bytes; `data` is valid for the call. With codec none pieces are whole blocks too. */
typedef int compress_write_fn(void *arg, const void *data, size_t n, struct err *e);

struct compressor;

/* `level` COMPRESS_LEVEL_DEFAULT or the codec's own range. Memory: about 0.5 MiB (gzip), 1 to 2 MiB (zstd).
 */
int compressor_new(enum compress_codec codec, int level, compress_write_fn *write, void *arg,
                   struct compressor **out, struct err *e);
void compressor_free(struct compressor *c);

/* Begins a new stream with another receiver, keeping the memory; what was unfinished is forgotten. */
void compressor_reset(struct compressor *c, compress_write_fn *write, void *arg);

/* An error of `write` is passed on; the stream is then only good for reset or free. */
int compressor_write(struct compressor *c, const void *data, size_t n, struct err *e);
/* Ends the stream and hands over everything. An empty input gives a valid empty stream. */
int compressor_finish(struct compressor *c, struct err *e);

uint64_t compressor_bytes_in(const struct compressor *c);  /* since new or reset */
uint64_t compressor_bytes_out(const struct compressor *c); /* handed to `write` so far */

/* "", ".gz", ".zst" */
const char *compress_extension(enum compress_codec codec);

#endif
