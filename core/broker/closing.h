/*
 * closing: all logs at once, for a stop.
 */
#ifndef LEAT_BROKER_CLOSING_H
#define LEAT_BROKER_CLOSING_H

#include "broker/store.h"

/*
 * Closes and frees every log. `clean`: flushed and made ready for a start that scans nothing; the first error tells that this
 * is not so for one of them, whose disk is then `unclean`. Without threads of the broker running; nobody may use it meanwhile.
 */
int closing_logs(struct broker *b, bool clean, struct err *e);

#endif
