/* The two kinds of URL in the configuration, checked and taken apart. The parts belong to the box.
 */
#ifndef CONF_URL_H
#define CONF_URL_H

#include "conf/box.h"

/* postgres://user:password@host1:5432,host2/dbname?sslmode=...; on false, *why holds the reason.
 * The reason never contains the password. sslmode and sslrootcert are left for the caller when the
 * URL has none: *has_sslmode. */
bool pw_url_parse_upstream(struct conf_box *box, struct slice url, struct conf_upstream *out,
                           bool *has_sslmode, struct buf *why);
/* redis://[user:password@]host[:port][/database] */
bool pw_url_parse_redis(struct conf_box *box, struct slice url, struct conf_redis *out,
                        struct buf *why);
/* The URL with its password, wherever it stands, as ***. Works on malformed URLs too. */
void pw_url_mask(struct slice url, struct buf *out);

#endif
