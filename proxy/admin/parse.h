/*
 * The console's grammar, as pure functions over text: statements end in ';' outside quotes and
 * comments; a statement is words and arguments; 'x' and "x" quote (doubled inside), '=' stands for
 * itself; a trailing \j or FORMAT JSON asks for JSON. No allocation, no state; any thread.
 */
#ifndef PROXY_ADMIN_PARSE_H
#define PROXY_ADMIN_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/slice.h"

struct admin_token {
    struct slice raw; /* as typed, with its quotes; BORROW from the text */
    bool quoted;
};

enum { PW_ADMIN_TOKENS_MAX = 24 };

struct admin_tokens {
    struct admin_token items[PW_ADMIN_TOKENS_MAX];
    size_t n;
    bool open_quote; /* a quote or comment never ended */
    bool more;       /* there were more than fit */
};

/* Takes the next statement off the front of *rest, trimmed, without its ';'. False at the end. */
bool pw_admin_next_statement(struct slice *rest, struct slice *statement);
struct slice pw_admin_trim(struct slice text);
void pw_admin_tokenize(struct slice text, struct admin_tokens *out);
/* Writes the token's value (never longer than raw) and returns its length. */
size_t pw_admin_unquote(const struct admin_token *t, char *out);
bool pw_admin_token_is(const struct admin_token *t, const char *word); /* case-insensitive */
/* Removes a trailing \j or FORMAT JSON from text; true when there was one. */
bool pw_admin_strip_format(struct slice *text);

/* How well the tokens spell the words of a command. */
struct admin_match {
    size_t words; /* of the command; 0: does not match */
    size_t exact; /* words spelled in full */
};
struct admin_match pw_admin_match(const struct admin_tokens *tokens, const char *words,
                                  bool abbreviated);
/* Edits between the command's words and the same number of tokens (case-insensitive). */
size_t pw_admin_distance(const struct admin_tokens *tokens, const char *words);

#endif
