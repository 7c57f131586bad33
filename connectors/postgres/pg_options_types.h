/*
 * pg_options_types: option rows of the modes in which values are written, for the connector's option table. Names, choices
 * and defaults are Debezium's (docs: connector-properties of its PostgreSQL connector).
 */
#ifndef LEAT_PG_OPTIONS_TYPES_H
#define LEAT_PG_OPTIONS_TYPES_H

#include "leat/plugin.h"

/* In the order of enum pg_decimal_mode and so on (pg_modes.h). */
#define PG_DECIMAL_CHOICES "precise|double|string"
#define PG_TIME_CHOICES "adaptive|adaptive_time_microseconds|connect|isostring|microseconds|nanoseconds"
#define PG_INTERVAL_CHOICES "numeric|string"
#define PG_BINARY_CHOICES "bytes|base64|base64-url-safe|hex"
#define PG_HSTORE_CHOICES "json|map"

#define PG_OPTIONS_TYPES                                                                                     \
    {.name = "decimal.handling.mode",                                                                        \
     .type = LEAT_CHOICE,                                                                                    \
     .default_value = "precise",                                                                             \
     .choices = PG_DECIMAL_CHOICES,                                                                          \
     .importance = LEAT_MEDIUM,                                                                              \
     .doc =                                                                                                  \
         "How numeric and money are written: as Connect's Decimal (bytes), as a floating-point number, or "  \
         "as text."},                                                                                        \
        {.name = "time.precision.mode",                                                                      \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "adaptive",                                                                        \
         .choices = PG_TIME_CHOICES,                                                                         \
         .importance = LEAT_MEDIUM,                                                                          \
         .doc =                                                                                              \
             "How date, time and timestamp are written: in milliseconds or microseconds by the column's "    \
             "precision; times always in microseconds; as Connect's logical types in milliseconds; as ISO "  \
             "8601 text; always in microseconds; always in nanoseconds, where timestamps outside of the "    \
             "years 1677 to 2262 become the nearest number that there is."},                                 \
        {.name = "interval.handling.mode",                                                                   \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "numeric",                                                                         \
         .choices = PG_INTERVAL_CHOICES,                                                                     \
         .importance = LEAT_LOW,                                                                             \
         .doc =                                                                                              \
             "How interval is written: as microseconds, with a month of 30.4375 days, or as ISO 8601 text "  \
             "with all six parts."},                                                                         \
        {.name = "binary.handling.mode",                                                                     \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "bytes",                                                                           \
         .choices = PG_BINARY_CHOICES,                                                                       \
         .importance = LEAT_LOW,                                                                             \
         .doc =                                                                                              \
             "How bytea, and types that are not known, are written: as bytes (base64 in JSON), or as text "  \
             "in base64, in base64 for URLs, in hexadecimal digits."},                                       \
        {.name = "hstore.handling.mode",                                                                     \
         .type = LEAT_CHOICE,                                                                                \
         .default_value = "json",                                                                            \
         .choices = PG_HSTORE_CHOICES,                                                                       \
         .importance = LEAT_LOW,                                                                             \
         .doc = "How hstore is written: as JSON text or as a map."},                                         \
        {.name = "money.fraction.digits",                                                                    \
         .type = LEAT_INT,                                                                                   \
         .default_value = "2",                                                                               \
         .min = 0,                                                                                           \
         .max = 18,                                                                                          \
         .importance = LEAT_LOW,                                                                             \
         .doc = "Digits behind the point of money as Decimal; what is cut is rounded half up. How many the " \
                "server means is asked when the task begins: those of `lc_monetary` for the database and "   \
                "role."},                                                                                    \
    {                                                                                                        \
        .name = "include.unknown.datatypes", .type = LEAT_BOOL, .default_value = "false",                    \
        .importance = LEAT_LOW,                                                                              \
        .doc =                                                                                               \
            "Whether columns of types without a mapping (composite types, multiranges, tsquery, box ...) "   \
            "are written, as the bytes of their text. Else they are left out."                               \
    }

#endif
