/*
 * Writing JSON into a buffer: values as members of an object (name) or elements of an array (name
 * NULL); commas come by themselves. Overflow shows in the buffer (failed). Any thread.
 */
#ifndef ADVISOR_JSON_H
#define ADVISOR_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"

void pw_json_open(struct buf *b, const char *name, char bracket);      /* { or [ */
void pw_json_close(struct buf *b, char bracket);                       /* } or ] */
void pw_json_text(struct buf *b, const char *name, const char *value); /* NULL: null */
void pw_json_num(struct buf *b, const char *name, double value);       /* not finite: null */
void pw_json_bool(struct buf *b, const char *name, bool value);
void pw_json_family(struct buf *b, uint64_t family);                    /* "family": 16 digits */
void pw_json_raw(struct buf *b, const char *name, const char *json);    /* JSON already */
void pw_json_moment(struct buf *b, const char *name, uint64_t wall_us); /* 0: null */
void pw_json_texts(struct buf *b, const char *name, const char *const *values, size_t n);
#endif
