/* Owns the bytes of the dashboard. The assembler finds our files through the include path. */
#include "proxy/http/embed.h"

#define EMBED(name, path)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 16\n" #name "_begin:\n"                                                       \
            ".incbin \"" path "\"\n" #name "_end:\n"                                               \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char name##_begin[] __attribute__((visibility("hidden")));                        \
    extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(pw_embedded_html, "proxy/http/dashboard.html");
EMBED(pw_embedded_js, "proxy/http/dashboard.js");
EMBED(pw_embedded_chart, "/usr/share/javascript/chart.js/chart.min.js");

struct slice pw_embed_dashboard_html(void)
{
    return pw_slice(pw_embedded_html_begin,
                    (size_t)(pw_embedded_html_end - pw_embedded_html_begin));
}

struct slice pw_embed_dashboard_js(void)
{
    return pw_slice(pw_embedded_js_begin, (size_t)(pw_embedded_js_end - pw_embedded_js_begin));
}

struct slice pw_embed_chart_js(void)
{
    return pw_slice(pw_embedded_chart_begin,
                    (size_t)(pw_embedded_chart_end - pw_embedded_chart_begin));
}
