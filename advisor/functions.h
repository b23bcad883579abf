/* Private to the function rules: a function of the catalog, what its body is made of, and what a
 * call costs. */
#ifndef ADVISOR_FUNCTIONS_H
#define ADVISOR_FUNCTIONS_H

#include "advisor/needs.h"
#include "advisor/rules.h"

struct function {
    const char *oid; /* as regprocedure writes it */
    const char *schema, *name, *signature, *language, *source, *definition, *config;
    const char
        *args; /* "g::integer AS a, ...": values of every argument; NULL: a type we have none for */
    const char *arg_names; /* "a, b", quoted */
    char volatility;       /* i s v */
    char parallel;         /* s r u */
    bool strict, security_definer, returns_set;
    double calls;       /* of the families that call it */
    double table_bytes; /* the largest table that a read which calls it looks at */
    /* Where a read compares a call of it on an indexed column; NULL: nowhere. */
    const struct inv_index *hidden;
    const char *hidden_by; /* the call */
};

/* What a body is made of. */
struct body {
    int statements;
    bool parsed, plain, only_select,
        lax; /* plain: SELECT expr; lax: may answer non-NULL for NULL input */
    bool reads_tables;
    char worst;    /* volatility of what it calls: i s v */
    char parallel; /* least parallel of what it calls: s r u */
};

/* New advice on this function, with its labels as evidence; rule is its identity. */
struct advice *pw_function_advice(struct advice_run *r, const struct function *f, const char *rule);
/* ALTER FUNCTION; back: how to undo it, or NULL. */
void pw_function_alter(struct advice_run *r, struct advice *a, const struct function *f,
                       const char *change, const char *back);
/* functions_use.c: FN-4, FN-6, FN-7: what the function does to the statements that call it. */
void pw_function_judge_use(struct advice_run *r, const struct function *f, const struct body *b,
                           bool rewritten);
/* Does a PL/pgSQL body do nothing but read, as far as its words tell? */
bool pw_function_only_reads(const char *source);
/* rules_policies.c: FN-5: policies of row security that call a function for every row. */
void pw_rules_policies(struct advice_run *r, const struct needs *needs);

/*
 * Runs the function and its body written in place alternately, over rows of made-up arguments, in
 * READ ONLY transactions under a time limit; adds what a call takes either way to the advice.
 * select is the body as "SELECT expr". False: both were measured, and inlining would not be faster.
 * Only where the run measures at all, for bodies of one expression that call nothing volatile.
 */
bool pw_function_measure(struct advice_run *r, const struct function *f, const struct body *b,
                         const char *select, struct advice *a);

#endif
