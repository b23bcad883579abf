/*
 * The snapshot with what its readers do not see: the count of references, the memory, the untyped
 * settings it was built from and every setting's text. Written by build.c before it is published,
 * read-only afterwards.
 */
#ifndef CONF_BOX_H
#define CONF_BOX_H

#include <stdatomic.h>

#include "conf/raw.h"

struct conf_box {
    struct pw_conf pub; /* first: a pw_conf is a conf_box */
    atomic_uint refs;
    struct raw raw;
    void **owned; /* OWN: every piece of memory the snapshot points to */
    size_t n_owned, owned_capacity;
    struct conf_setting *settings; /* in `owned`, so is their text */
    const char **exact;            /* their values without masks, for comparing; never printed */
    size_t n_settings;
    const char *state_dir; /* what "auto" means for pgweir.state_dir */
};

static inline const struct conf_box *pw_box_of(const struct pw_conf *conf)
{
    return PW_CONTAINER_OF(conf, struct conf_box, pub);
}

void *pw_box_alloc(struct conf_box *box, size_t size); /* zeroed, belongs to the box */
const char *pw_box_text(struct conf_box *box, struct slice text);
void pw_box_free(struct conf_box *box);

/* From raw (taken over in any case) to a snapshot; NULL when there are errors. before: the snapshot
 * that a SET changes; NULL: everything is read anew, the files that settings name too. */
struct conf_box *pw_conf_build(struct raw *raw, const char *state_dir, bool upstream_optional,
                               const struct pw_conf *before, struct conf_errors *errors);
/* Conflicts between settings. */
void pw_conf_check(const struct conf_box *box, bool upstream_optional, struct conf_errors *errors);
/* Where a setting's value came from, for messages: the strongest entry's place, or "default". */
const char *pw_box_where(const struct conf_box *box, const char *section, const char *key,
                         const char *database, size_t rule);

#endif
