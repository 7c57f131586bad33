/*
 * cdc_mask: values that are not shown as they are: column.mask.with.N.chars, column.mask.hash[.v2].ALG.with.salt.S,
 * column.truncate.to.N.chars. The task's thread.
 */
#ifndef LEAT_KIT_CDC_MASK_H
#define LEAT_KIT_CDC_MASK_H

#include "base/buf.h"
#include "kit/cdc/cdc_config.h"

/* Takes the option if it is one of these. ERR_INVALID_CONFIG: unknown, or a length or an algorithm that is none. */
int cdc_mask_option(struct cdc_config *c, const struct cdc_named *option, struct err *e);
/* Takes over rule->columns, also on failure. */
int cdc_mask_add(struct cdc_config *c, const struct cdc_mask_rule *rule, const char *option, struct err *e);
void cdc_masks_free(struct cdc_config *c);

/*
 * The rule that counts for a column; names as of cdc_filter_matches. NULL: none. *hash: the rule that would hash it and does not,
 * as the one that counts tells of its type; NULL: none.
 */
const struct cdc_mask_rule *cdc_mask_find(const struct cdc_config *c, const char *column, const char *type,
                                          const struct cdc_mask_rule **hash);

/* Appends a column's text changed by the rule (TRUNCATE, HASH, HASH_V2) as a JSON string. `scratch` is used. */
int cdc_mask_write(const struct cdc_mask_rule *rule, const void *text, size_t n, struct buf *out,
                   struct buf *scratch, struct err *e);

#endif
