/*
 * kit/jtext_impl: what jtext.c and cdc/cdc_json.c take from jtext_string.c; nobody else includes it.
 */
#ifndef LEAT_KIT_JTEXT_IMPL_H
#define LEAT_KIT_JTEXT_IMPL_H

#include <stdint.h>

#include "kit/jtext.h"

/* Length of the well-formed UTF-8 sequence at p (a byte >= 0x80), 0 if it is none. */
size_t jtext_utf8(const uint8_t *p, const uint8_t *end);
/* Advances over bytes that mean nothing special in a string. */
const uint8_t *jtext_skim(const uint8_t *p, const uint8_t *end);
bool jtext_is_hex(uint8_t c);
/* No bytes may come as NULL, with which C forbids even to add nothing. */
const uint8_t *jtext_start(const void *text, size_t n);

#endif
