/* The advisor's memory: an arena per run and one per published set. Running out aborts: inputs are
 * bounded. */
#ifndef ADVISOR_MEM_H
#define ADVISOR_MEM_H

#include <stddef.h>

#include "proxy/base/attrs.h"
#include "proxy/base/slice.h"
#include "proxy/mem/arena.h"

#define PW_MEM_MAX ((size_t)1 << 30)

void *pw_mem(struct arena *a, size_t size);          /* zeroed */
char *pw_mem_str(struct arena *a, const char *text); /* NULL stays NULL */
char *pw_mem_strn(struct arena *a, const char *text, size_t len);
char *pw_mem_printf(struct arena *a, const char *fmt, ...) PW_PRINTF(2, 3);
/* Room for one more zeroed element at array[(*n)++]; returns the array, which may have moved. */
void *pw_mem_push(struct arena *a, void *array, size_t *n, size_t element);
/* JSON string literal of text, quotes included. */
char *pw_mem_json(struct arena *a, const char *text);
/* SQL identifier, quoted only when it must be. */
char *pw_mem_ident(struct arena *a, const char *name);
char *pw_mem_qualified(struct arena *a, const char *schema, const char *name);
/* SQL literal with quotes. */
char *pw_mem_literal(struct arena *a, const char *text);

#endif
