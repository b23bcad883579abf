/* See binary_time.h. */
#include "planner/binary_time.h"

#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define HOUR_US   (3600 * SECOND_US)
#define DAY_US    (24 * HOUR_US)

enum {
    DAY_MIN = -2451545,        /* 4714-11-24 BC, Julian day 0 */
    DATE_MAX_DAY = 2145031948, /* 5874897-12-31 */
    STAMP_MAX_DAY = 106751982, /* 294276-12-31 */
    ZONE_SECONDS_MAX = 15 * 3600 + 59 * 60 + 59,
    HOURS_MAX = 1000000 /* of an interval: what is read is far less in the last resort */
};

/* The proleptic Gregorian calendar; year 0 is 1 BC. From days since 2000-01-01. */
static void civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t z = days + 730425 /* 2000-01-01 since 0000-03-01 */;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t shifted = (5 * of_year + 2) / 153; /* March is 0 */
    *day = (unsigned)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = y + era * 400 + (*month <= 2);
}

/* "0044-03-15"; the caller appends " BC" at the end. */
static bool put_date(struct buf *out, int64_t days, bool *is_bc)
{
    int64_t year;
    unsigned month, day;
    civil(days, &year, &month, &day);
    *is_bc = year <= 0;
    return pw_buf_printf(out, "%04lld-%02u-%02u", (long long)(*is_bc ? 1 - year : year), month,
                         day);
}

static const char *infinite(bool is_low, bool is_high)
{
    return is_low ? "-infinity" : is_high ? "infinity" : NULL;
}

bool pw_binary_date(struct buf *out, int32_t days)
{
    const char *special = infinite(days == INT32_MIN, days == INT32_MAX);
    if (special)
        return pw_buf_append_str(out, special);
    bool is_bc;
    return days >= DAY_MIN && days <= DATE_MAX_DAY && put_date(out, days, &is_bc) &&
           (!is_bc || pw_buf_append_str(out, " BC"));
}

static bool put_clock(struct buf *out, int64_t us)
{
    return pw_buf_printf(out, "%02lld:%02lld:%02lld.%06lld", (long long)(us / HOUR_US),
                         (long long)(us / (60 * SECOND_US) % 60), (long long)(us / SECOND_US % 60),
                         (long long)(us % SECOND_US));
}

bool pw_binary_time(struct buf *out, int64_t us)
{
    return us >= 0 && us <= DAY_US && put_clock(out, us);
}

bool pw_binary_zone(struct buf *out, int32_t seconds)
{
    if (seconds < -ZONE_SECONDS_MAX || seconds > ZONE_SECONDS_MAX)
        return false;
    int east = abs(seconds);
    return pw_buf_printf(out, "%c%02d:%02d:%02d", seconds > 0 ? '-' : '+', east / 3600,
                         east / 60 % 60, east % 60);
}

bool pw_binary_timestamp(struct buf *out, int64_t us, const char *zone)
{
    const char *special = infinite(us == INT64_MIN, us == INT64_MAX);
    if (special)
        return pw_buf_append_str(out, special);
    int64_t days = us / DAY_US - (us % DAY_US < 0);
    bool is_bc;
    return days >= DAY_MIN && days <= STAMP_MAX_DAY && put_date(out, days, &is_bc) &&
           pw_buf_append_u8(out, ' ') && put_clock(out, us - days * DAY_US) &&
           pw_buf_append_str(out, zone) && (!is_bc || pw_buf_append_str(out, " BC"));
}

/* Every part has its own sign, so that no style reads a sign for all of them. */
bool pw_binary_interval(struct buf *out, int64_t us, int32_t days, int32_t months)
{
    if (us / HOUR_US > HOURS_MAX || us / HOUR_US < -HOURS_MAX)
        return false;
    return pw_buf_printf(out, "%+d mons %+d days %c", (int)months, (int)days, us < 0 ? '-' : '+') &&
           put_clock(out, us < 0 ? -us : us);
}
