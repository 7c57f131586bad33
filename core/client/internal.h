/*
 * internal: struct client, seen only inside core/client.
 */
#ifndef LEAT_CLIENT_INTERNAL_H
#define LEAT_CLIENT_INTERNAL_H

#include "client/client.h"

struct client {
    struct broker *broker;
};

#endif
