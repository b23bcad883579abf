/*
 * Lines out of a telnet or netcat byte stream: CR LF, CR NUL, LF and a lone CR end a line; telnet
 * commands (IAC ...) are taken out; control characters become spaces; a line over the cap is
 * reported and skipped. Pure; embedded in its owner; zeroed memory is a fresh reader.
 */
#ifndef PROXY_ADMIN_LINE_READER_H
#define PROXY_ADMIN_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin/admin.h"
#include "proxy/base/slice.h"

enum line_event {
    LINE_NONE,     /* all bytes used, no line yet */
    LINE_READY,    /* reader.text holds the line, until the next feed */
    LINE_TOO_LONG, /* a line over the cap has ended */
    LINE_END,      /* Ctrl-D on an empty line, or telnet's abort */
};

enum telnet_state { TELNET_TEXT, TELNET_IAC, TELNET_OPTION, TELNET_SUB, TELNET_SUB_IAC };

struct line_reader {
    char text[PW_ADMIN_LINE_MAX + 1]; /* ends in NUL when LINE_READY */
    size_t len;
    enum telnet_state telnet;
    bool after_cr; /* the LF or NUL of a CR LF or CR NUL is still to come */
    bool too_long, done;
};

/* Returns how many bytes were used: all of them, or up to the end of the line. */
size_t pw_line_feed(struct line_reader *r, struct slice in, enum line_event *what);

#endif
