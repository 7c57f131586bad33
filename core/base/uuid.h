/*
 * uuid: 16 random bytes (RFC 4122 version 4) and Kafka's 22-character base64url form of them.
 */
#ifndef LEAT_BASE_UUID_H
#define LEAT_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_SIZE 23

struct uuid uuid_random(void); /* never all zeros, never starting with '-' in text form, as Kafka's */
char *uuid_text(const struct uuid *u, char out[UUID_TEXT_SIZE]);
bool uuid_parse(const char *text, struct uuid *u);
bool uuid_is_zero(const struct uuid *u);

#endif
