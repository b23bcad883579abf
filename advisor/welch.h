/* Welch's test on log latency, from moments. Pure. */
#ifndef ADVISOR_WELCH_H
#define ADVISOR_WELCH_H

#include "advisor/advisor.h"

struct welch {
    double mean_before, mean_after; /* of ln(us) */
    double t, df, p;                /* two-sided; NAN when it cannot be computed */
};

void pw_welch(const struct latency_moments *before, const struct latency_moments *after,
              struct welch *out);
/* Two-sided p of Student's t. */
double pw_welch_p(double t, double df);
/* What was recorded between two readings. */
struct latency_moments pw_moments_between(const struct latency_moments *from,
                                          const struct latency_moments *to);

#endif
