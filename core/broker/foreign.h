/*
 * foreign: whose directory is it? Asked before anything is written into it.
 */
#ifndef LEAT_BROKER_FOREIGN_H
#define LEAT_BROKER_FOREIGN_H

#include "base/err.h"

/*
 * ERR_OK if the existing directory is empty or ours, also half made by a first start that was killed. Else ERR_INVALID,
 * which names what is in the way, or tells how Kafka's own log directory is brought in.
 */
int foreign_check(const char *dir, struct err *e);

#endif
