/*
 * The user list (auth.file), read once and again only when it changed or a reload asks for it; a
 * login costs a stat(), not a read. A new file that cannot be read or has an error is complained
 * about once, and the old list stays in force. Control thread.
 */
#ifndef PROXY_CONTROL_USERFILE_H
#define PROXY_CONTROL_USERFILE_H

#include "conf/userlist.h"

struct userfile;

struct userfile *pw_userfile_new(void);
void pw_userfile_free(struct userfile *f);
/* The list at path now; NULL: never readable, or path is "". BORROW until the next call. */
const struct userlist *pw_userfile_get(struct userfile *f, const char *path);
void pw_userfile_forget_stamp(struct userfile *f); /* the next get reads in any case */
uint64_t pw_userfile_reads(const struct userfile *f);

#endif
