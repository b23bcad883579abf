/*
 * The literal-stripping scan: SQL text -> template (what is left when literals become typed slots,
 * comments and white space one space, and letters outside quotes small) + where the literals were +
 * a hash.
 *
 * Contract: two texts with one template have the same parse tree up to the values of ordinary
 * constants. A literal that can mean more than its value stays visible: everything in a statement
 * that does not start with a data keyword, all arguments once set_config is named, positional
 * numbers (ORDER BY 1), type modifiers, and strings that name a moment ('now', ' TODAY 10:00'),
 * which get a slot kind of their own. The plan is made from pw_template_render, a pure function of
 * the template, never from a client's text.
 *
 * Pure functions over bytes; memory is the caller's scratch; no allocation, no lock.
 */
#ifndef PLANNER_TEMPLATE_H
#define PLANNER_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

/* Also the byte that stands for the literal in the template; such bytes in the text outside of
 * slotted literals are refused, so they cannot be forged. */
enum slot_kind {
    SLOT_INT4 = 1,    /* an integer that fits int4 */
    SLOT_INT8 = 2,    /* fits int8 only */
    SLOT_NUMERIC = 3, /* anything else */
    SLOT_STRING = 4,  /* '', E'', $$ */
    SLOT_SPECIAL = 5, /* a string that may name a moment, or whose value was not looked at */
    SLOT_BITS = 6,    /* B'' */
    SLOT_HEXBITS = 7, /* X'' */
};
enum { TEMPLATE_HINT_MARK = 14 }; /* starts the tail that carries the hints */

struct template_slot {
    uint32_t off, len; /* in the original text, quotes and prefix included */
    enum slot_kind kind;
};

enum template_refusal {
    TEMPLATE_OK,
    TEMPLATE_TOO_LONG,     /* the template does not fit the scratch */
    TEMPLATE_LIMIT,        /* an operator run or nesting beyond planner/limits.h */
    TEMPLATE_UNTERMINATED, /* quote or comment without end: the server will say so */
    TEMPLATE_BAD_BYTE, /* NUL or control byte, or characters no PostgreSQL 15 token starts with */
};

struct template
{
    char *text; /* BORROW: scratch of cap bytes */
    size_t cap, len;
    struct template_slot *slots; /* BORROW: scratch of cap_slots */
    uint32_t cap_slots, n_slots; /* n_slots may exceed cap_slots: then the slots are not complete */
    uint32_t n_statements;       /* segments between top-level ';' that hold a token */
    uint64_t hash_lo, hash_hi;   /* XXH3-128 of the template */
    uint64_t hint_ttl_us;
    int8_t hint_cache, hint_batch; /* as in struct plan */
};

struct template_options {
    bool standard_conforming_strings;
    bool keep_nothing; /* every literal becomes a slot: for texts that people see */
};

/* Fills t (its scratch is set by the caller). On refusal only hash and hints are without meaning.
 */
enum template_refusal pw_template_scan(struct template *t, struct slice sql,
                                       const struct template_options *options);
/* A statement with this very template: every slot filled with a fixed literal of its kind. Returns
 * the length without the NUL; nothing is written past cap. pw_template_render_max(len) bytes are
 * always enough. */
size_t pw_template_render(struct slice template_text, char *out, size_t cap);
size_t pw_template_render_max(size_t template_len);
/* The template with $1, $2 ... in its slots, likewise. */
size_t pw_template_render_params(struct slice template_text, char *out, size_t cap);
/* Where slot i of the template begins in its rendering; the first `cap` of them. Returns how many
 * were filled in. */
uint32_t pw_template_slot_offsets(struct slice template_text, uint32_t *offsets, uint8_t *kinds,
                                  uint32_t cap);

/* May this value name a moment when read as a date or time ('now', '{today,...}')? For string
 * literals and for text parameters alike; errs towards true. */
bool pw_template_is_special(struct slice value);
bool pw_template_is_special_binary(struct slice value); /* the same of a value in binary format */

#endif
