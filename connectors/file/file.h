/*
 * file: the two connectors of this plugin. plugin.c exports them; source*.c and sink*.c know nothing of each other.
 */
#ifndef LEAT_FILE_FILE_H
#define LEAT_FILE_FILE_H

#include "leat/plugin.h"

extern const struct leat_connector file_source_connector;
extern const struct leat_connector file_sink_connector;

#endif
