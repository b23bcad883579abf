/*
 * Rules in pg_hba.conf's format: the first that matches a client decides its method. What cannot be
 * honoured (host names, include, @file, clientcert, methods of other worlds) is an error, so that
 * no rule silently means less than it says; options that only add information are ignored with a
 * warning. Immutable once read, any thread may match; references are counted.
 */
#ifndef CONF_HBA_H
#define CONF_HBA_H

#include <sys/socket.h>

#include "conf/conf.h"

enum hba_method {
    HBA_NO_MATCH, /* no rule: refuse, as PostgreSQL does */
    HBA_REJECT,
    HBA_TRUST,
    HBA_MD5, /* a SCRAM verifier makes it SCRAM, as in PostgreSQL */
    HBA_SCRAM,
    HBA_PASSWORD,
    HBA_CERT,
};

struct hba;

/* Errors are "FILE:LINE: message", all of them; NULL when there was one. *errors is initialised. */
PW_MUSTUSE struct hba *pw_hba_parse(const char *text, size_t len, const char *file_name,
                                    struct conf_errors *errors);
PW_MUSTUSE struct hba *pw_hba_load(const char *path, struct conf_errors *errors); /* up to 1 MB */
struct hba *pw_hba_ref(const struct hba *h); /* returns h; counts are atomic */
void pw_hba_free(const struct hba *h);       /* gives one reference back; NULL is allowed */
size_t pw_hba_count(const struct hba *h);
/* Is there a rule with this method? For conflicts with other settings. */
bool pw_hba_uses(const struct hba *h, enum hba_method m);

/* Who asks. BORROW during the call. */
struct hba_client {
    bool is_local, is_tls, is_replication; /* local: over a Unix socket */
    const struct sockaddr *addr;           /* of a client that is not local */
    const char *database, *user;
    /* Is user a member of role, for +role? NULL: not known, and a rule that needs it rejects. */
    bool (*is_member)(void *arg, const char *user, const char *role);
    void *arg;
};

struct hba_verdict {
    enum hba_method method;
    size_t line;       /* of the rule in its file; 0: no rule */
    bool unknown_role; /* REJECT, because the rule's +role could not be checked */
    bool in_clear;     /* PASSWORD: the rule is for this very kind of unencrypted connection (local,
                          hostnossl) */
};

struct hba_verdict pw_hba_decide(const struct hba *h, const struct hba_client *client);
enum hba_method pw_hba_match_client(const struct hba *h, const struct hba_client *client);
/* The same for a plain client whose roles are not known. */
enum hba_method pw_hba_match(const struct hba *h, bool is_local, bool is_tls,
                             const struct sockaddr *addr, const char *database, const char *user);
const char *pw_hba_method_name(enum hba_method m);

#endif
