/* Private to the report files. */
#ifndef ADVISOR_REPORT_H
#define ADVISOR_REPORT_H

#include "advisor/advice.h"

extern const char pw_report_style[];
void pw_report_html_text(struct buf *b, const char *text); /* escaped */
void pw_report_html_advice(const struct advice_set *s,
                           struct buf *b); /* the sections, without head */

#endif
