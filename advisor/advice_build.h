/* Filling a set before it is published. Advisor thread only. */
#ifndef ADVISOR_ADVICE_BUILD_H
#define ADVISOR_ADVICE_BUILD_H

#include "advisor/advice.h"
#include "advisor/mem.h"

struct advice_set *pw_advice_set_new(const char *source); /* one reference */
/* The element moves when another is added: finish one before the next. Texts are copied. */
struct advice *pw_advice_add(struct advice_set *s, enum advice_kind kind, const char *table,
                             const char *object);
/* Same kind, table and identity text give the same id in every run. */
void pw_advice_identify(struct advice_set *s, struct advice *a, const char *identity);
void pw_advice_column(struct advice_set *s, struct advice *a, const char *name);
void pw_advice_fact_num(struct advice_set *s, struct advice *a, const char *name, double value);
void pw_advice_fact_text(struct advice_set *s, struct advice *a, const char *name,
                         const char *value);
void pw_advice_fact_bool(struct advice_set *s, struct advice *a, const char *name, bool value);
void pw_advice_fact_json(struct advice_set *s, struct advice *a, const char *name,
                         const char *json);
void pw_advice_query(struct advice_set *s, struct advice *a, uint64_t family, const char *text,
                     double calls, double before, double after);
void pw_advice_refuse(struct advice_set *s, const char *object, const char *fmt, ...)
    PW_PRINTF(3, 4);
void pw_advice_note(struct advice_set *s, const char *fmt, ...) PW_PRINTF(2, 3);
/* A new set: fresh's advice, and old's of the kinds that fresh is not about (kinds: a bit per kind
 * that it is about). The head is that of the set about indexes. Takes over both references. */
struct advice_set *pw_advice_set_merge(struct advice_set *old, struct advice_set *fresh,
                                       unsigned kinds);
/* Sorts; nothing is added afterwards. */
void pw_advice_set_finish(struct advice_set *s);
/* 123456789 -> "117.7 MB"; returns out. */
char *pw_advice_size_text(double bytes, char *out, size_t size);
/* 90061 -> "1 d 1 h"; returns out. */
char *pw_advice_age_text(double seconds, char *out, size_t size);

#endif
