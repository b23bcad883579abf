/* See welch.h. */
#include "advisor/welch.h"

#include <math.h>

struct latency_moments pw_moments_between(const struct latency_moments *from,
                                          const struct latency_moments *to)
{
    if (to->n < from->n)
        return *to; /* counters began again */
    return (struct latency_moments){to->n - from->n, to->sum - from->sum, to->sum2 - from->sum2};
}

/* Continued fraction of the incomplete beta function (Lentz). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 300; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + even / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + odd / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-12)
            break;
    }
    return h;
}

/* lgamma writes a global; lgamma_r does not. */
static double log_gamma(double v)
{
    int sign;
    return lgamma_r(v, &sign);
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double pw_welch_p(double t, double df)
{
    if (!isfinite(t) || !(df > 0))
        return NAN;
    return incomplete_beta(df / 2, 0.5, df / (df + t * t));
}

static double variance(const struct latency_moments *m)
{
    double v = (m->sum2 - m->sum * m->sum / m->n) / (m->n - 1);
    return fmax(v, 1e-12);
}

void pw_welch(const struct latency_moments *b, const struct latency_moments *a, struct welch *out)
{
    out->mean_before = b->n > 0 ? b->sum / b->n : NAN;
    out->mean_after = a->n > 0 ? a->sum / a->n : NAN;
    out->t = out->df = out->p = NAN;
    if (b->n < 2 || a->n < 2)
        return;
    double vb = variance(b) / b->n, va = variance(a) / a->n;
    out->t = (out->mean_after - out->mean_before) / sqrt(vb + va);
    out->df = (vb + va) * (vb + va) / (vb * vb / (b->n - 1) + va * va / (a->n - 1));
    out->p = pw_welch_p(out->t, out->df);
}
