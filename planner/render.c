/* A template back into a statement (template.h). Pure. */
#include "planner/limits.h"
#include "planner/template.h"

#include <stdio.h>
#include <string.h>

static const char *const filling[] = {
    [SLOT_INT4] = "1",       [SLOT_INT8] = "9000000000", [SLOT_NUMERIC] = "1.5",
    [SLOT_STRING] = "'x'",   [SLOT_SPECIAL] = "'now'",   [SLOT_BITS] = "B'1'",
    [SLOT_HEXBITS] = "X'1'",
};

size_t pw_template_render_max(size_t template_len)
{
    return template_len * sizeof("9000000000") + 1;
}

static bool is_slot(unsigned char c)
{
    return c >= SLOT_INT4 && c <= SLOT_HEXBITS;
}

static size_t render(struct slice template_text, char *out, size_t cap, bool as_params)
{
    size_t n = 0;
    unsigned param = 0;
    for (size_t i = 0; i < template_text.len; i++) {
        unsigned char c = (unsigned char)template_text.ptr[i];
        if (c == TEMPLATE_HINT_MARK)
            break;
        char one[16] = {(char)c, 0};
        const char *piece = is_slot(c) ? filling[c] : one;
        if (is_slot(c) && as_params) { /* a letter may follow 'x', not $1 */
            snprintf(one, sizeof one, "$%u ", ++param);
            piece = one;
        }
        for (; *piece && n + 1 < cap; piece++)
            out[n++] = *piece;
    }
    if (cap)
        out[n] = 0;
    return n;
}

size_t pw_template_render(struct slice template_text, char *out, size_t cap)
{
    return render(template_text, out, cap, false);
}

size_t pw_template_render_params(struct slice template_text, char *out, size_t cap)
{
    return render(template_text, out, cap, true);
}

uint32_t pw_template_slot_offsets(struct slice template_text, uint32_t *offsets, uint8_t *kinds,
                                  uint32_t cap)
{
    uint32_t at = 0, n = 0;
    for (size_t i = 0; i < template_text.len && n < cap; i++) {
        unsigned char c = (unsigned char)template_text.ptr[i];
        if (c == TEMPLATE_HINT_MARK)
            break;
        if (!is_slot(c)) {
            at++;
            continue;
        }
        offsets[n] = at;
        kinds[n++] = c;
        at += (uint32_t)strlen(filling[c]);
    }
    return n;
}
