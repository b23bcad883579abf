/* Documents made from the table: the sample file and the table of README.md. A test compares the
 * files with these. */
#ifndef CONF_DOCUMENT_H
#define CONF_DOCUMENT_H

#include "conf/conf.h"
#include "proxy/base/buf.h"

void pw_document_defaults(struct buf *out); /* conf/pgweir.yaml: every setting, commented */
void pw_document_markdown(struct buf *out); /* a table per section */
/* Every setting of a snapshot: key, value, where it comes from. */
void pw_document_settings(const struct pw_conf *conf, struct buf *out);

#endif
