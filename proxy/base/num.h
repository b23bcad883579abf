/* Strict parsing and printing of integers, durations and sizes. The whole text must be consumed. */
#ifndef PROXY_BASE_NUM_H
#define PROXY_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

bool pw_num_parse_i64(struct slice text, int64_t *out);
bool pw_num_parse_u64(struct slice text, uint64_t *out);
bool pw_num_parse_double(struct slice text, double *out); /* finite only */
/* "250ms", "1.5h", "0"; units us ms s m h d; a bare number is seconds. */
bool pw_num_parse_duration(struct slice text, uint64_t *us);
/* "8kB", "1MB", "64"; units B kB MB GB (powers of 1024, case-insensitive); bare is bytes. */
bool pw_num_parse_bytes(struct slice text, uint64_t *bytes);
/* The shortest exact spelling with a unit; returns out. 32 bytes are enough. */
char *pw_num_print_duration(uint64_t us, char *out, size_t size);
char *pw_num_print_bytes(uint64_t bytes, char *out, size_t size);

#endif
