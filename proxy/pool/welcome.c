#include "proxy/pool/welcome.h"

#include "proxy/wire/emit.h"

void pw_welcome_copy(struct params *to, const struct params *from)
{
    struct slice rest = pw_params_all(from);
    struct name_value nv;
    pw_params_free(to);
    pw_params_init(to);
    while (pw_startup_next(&rest, &nv))
        if (!pw_params_set(to, nv.name, nv.value))
            return; /* bounded: what does not fit is not reported */
}

bool pw_welcome_emit(const struct params *p, const char *application_name, struct buf *out)
{
    struct slice rest = pw_params_all(p);
    struct name_value nv;
    bool ok = true;
    while (pw_startup_next(&rest, &nv)) {
        if (pw_slice_is(nv.name, "application_name"))
            nv.value = pw_slice_str(application_name);
        ok &= pw_emit_parameter_status(out, nv.name, nv.value);
    }
    return ok;
}

const char *pw_welcome_get(const struct params *p, const char *name)
{
    struct slice value;
    return pw_params_find(p, name, &value) ? value.ptr : NULL;
}
