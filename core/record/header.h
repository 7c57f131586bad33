/*
 * header: encoding and checking of the batch header within core/record. No state.
 */
#ifndef LEAT_RECORD_HEADER_H
#define LEAT_RECORD_HEADER_H

#include "record/record.h"

/*
 * What batch_header_decode checks, but with the codes a broker answers a client with: besides ERR_TRUNCATED
 * and ERR_CORRUPT also ERR_INVALID_RECORD (magic 0 or 1, counts) and ERR_UNSUPPORTED_COMPRESSION (a codec we
 * don't know).
 */
int header_parse(const void *data, size_t n, struct batch_header *h, struct err *e);

/* ERR_OK when the whole batch of the parsed header is present and its CRC right; else ERR_TRUNCATED,
 * ERR_CORRUPT. */
int header_verify(const void *data, size_t n, const struct batch_header *h, struct err *e);

/* Writes the header before the records that follow it already, CRC included (h->crc is ignored). */
void header_seal(uint8_t *batch, const struct batch_header *h);

#endif
