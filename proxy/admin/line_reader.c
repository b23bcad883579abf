#include "proxy/admin/line_reader.h"

enum { /* RFC 854 */
       IAC = 255,
       DONT = 254,
       WILL = 251,
       SB = 250,
       IP = 244,
       SE = 240,
       CTRL_D = 4,
       DELETE = 127,
};

/* Telnet commands. True when the byte belonged to one; *what may become LINE_END. */
static bool take_telnet(struct line_reader *r, unsigned char c, bool *literal,
                        enum line_event *what)
{
    switch (r->telnet) {
    case TELNET_TEXT:
        if (c != IAC)
            return false;
        r->telnet = TELNET_IAC;
        return true;
    case TELNET_IAC:
        r->telnet = TELNET_TEXT;
        if (c == IAC) {
            *literal = true; /* IAC IAC is the byte 255 */
            return false;
        }
        if (c == SB)
            r->telnet = TELNET_SUB;
        else if (c >= WILL && c <= DONT)
            r->telnet = TELNET_OPTION;
        else if (c == IP)
            *what = LINE_END;
        return true;
    case TELNET_OPTION:
        r->telnet = TELNET_TEXT;
        return true;
    case TELNET_SUB:
        if (c == IAC)
            r->telnet = TELNET_SUB_IAC;
        return true;
    case TELNET_SUB_IAC:
        r->telnet = c == SE ? TELNET_TEXT : TELNET_SUB;
        return true;
    }
    return false;
}

static enum line_event end_line(struct line_reader *r)
{
    r->done = true;
    r->text[r->len] = '\0';
    return r->too_long ? LINE_TOO_LONG : LINE_READY;
}

static void put(struct line_reader *r, unsigned char c)
{
    if (r->len == PW_ADMIN_LINE_MAX) {
        r->too_long = true;
        return;
    }
    r->text[r->len++] = c < 0x20 ? ' ' : (char)c;
}

/* One byte of text. */
static enum line_event take_byte(struct line_reader *r, unsigned char c)
{
    bool after_cr = r->after_cr;
    r->after_cr = false;
    if (after_cr && (c == '\n' || c == '\0'))
        return LINE_NONE; /* the line ended at the CR */
    if (c == '\r' || c == '\n') {
        r->after_cr = c == '\r';
        return end_line(r);
    }
    if (c == CTRL_D && r->len == 0 && !r->too_long)
        return LINE_END;
    if ((c == '\b' || c == DELETE) && !r->too_long) {
        r->len -= r->len > 0; /* terminals that send every key at once */
        return LINE_NONE;
    }
    put(r, c);
    return LINE_NONE;
}

size_t pw_line_feed(struct line_reader *r, struct slice in, enum line_event *what)
{
    size_t i = 0;
    *what = LINE_NONE;
    if (r->done) {
        r->len = 0;
        r->done = r->too_long = false;
    }
    while (i < in.len && *what == LINE_NONE) {
        unsigned char c = (unsigned char)in.ptr[i++];
        bool literal = false;
        if (take_telnet(r, c, &literal, what))
            continue;
        if (literal)
            put(r, c);
        else
            *what = take_byte(r, c);
    }
    return i;
}
