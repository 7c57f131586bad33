/*
 * pg_session: what a connection is told before values come over it, so that their text has one form.
 */
#include "pg_types.h"

const char *const pg_types_session_options =
    "-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1 "
    "-c xmlbinary=base64 -c lc_monetary=C";
