/* A rule between its reader (hba.c) and its matcher (hba_match.c). */
#ifndef CONF_HBA_RULE_H
#define CONF_HBA_RULE_H

#include <stdatomic.h>

#include "conf/hba.h"

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL, HBA_NEVER };

struct hba_token {
    const char *text; /* OWN by the rule */
    bool quoted;      /* a quoted keyword is a name */
};

struct hba_names {
    struct hba_token *items; /* OWN */
    size_t n;
};

struct hba_address {
    int family; /* AF_INET, AF_INET6, 0: any */
    unsigned char bytes[16], mask[16];
};

struct hba_rule {
    enum hba_type type;
    struct hba_names databases, users;
    struct hba_address address;
    enum hba_method method;
    size_t line;
};

struct hba {
    atomic_uint refs;
    struct hba_rule *rules; /* OWN */
    size_t n;
};

#endif
