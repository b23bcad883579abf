/* Files built into the program. */
#ifndef PROXY_HTTP_EMBED_H
#define PROXY_HTTP_EMBED_H

#include "proxy/base/slice.h"

struct slice pw_embed_dashboard_html(void);
struct slice pw_embed_dashboard_js(void);
struct slice pw_embed_chart_js(void); /* Chart.js, MIT licence, from Debian's libjs-chart.js */

#endif
