/*
 * plugin_check: does a plugin's descriptor fit this host? Nothing of a plugin is called before this said yes.
 */
#ifndef LEAT_CONNECT_PLUGIN_CHECK_H
#define LEAT_CONNECT_PLUGIN_CHECK_H

#include "base/err.h"
#include "leat/plugin.h"

/* ERR_PLUGIN: the text says what does not fit. */
int plugin_check(const struct leat_plugin *p, struct err *e);

#endif
