/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/svg.h"
#include "sim/svg_int.h"
#include "util/mem.h"

/*
 * Wait-time curves: above, the mean wait of those submitted in each interval; below, which share of
 * the jobs waited at most how long.
 */

#define WIDTH  1200
#define HEIGHT 760

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double wait_s(const struct sim_job *j)
{
	return (double)(j->end_ns - j->submit_ns - j->run_ns) / SIM_SECOND;
}

void sim_curve_fill(struct sim_curve *c, const struct sim_trace *t, const char *name)
{
	OWN(mem) double *waits = xcalloc(t->n, sizeof(*waits));
	double sum[SIM_CURVE_POINTS] = { 0 }, count[SIM_CURVE_POINTS] = { 0 }, span;

	snprintf(c->name, sizeof(c->name), "%s", name);
	c->first_s = (double)t->jobs[0].submit_ns / SIM_SECOND;
	c->last_s = (double)t->jobs[t->n - 1].submit_ns / SIM_SECOND;
	span = c->last_s - c->first_s;
	for (size_t i = 0; i < t->n; i++) {
		double s = (double)t->jobs[i].submit_ns / SIM_SECOND - c->first_s;
		size_t at = span > 0 ? (size_t)(s / span * SIM_CURVE_POINTS) : 0;

		at = at < SIM_CURVE_POINTS ? at : SIM_CURVE_POINTS - 1;
		waits[i] = wait_s(&t->jobs[i]);
		sum[at] += waits[i];
		count[at]++;
	}
	for (size_t i = 0; i < SIM_CURVE_POINTS; i++)
		c->by_time[i] = count[i] > 0 ? sum[i] / count[i] : -1;
	qsort(waits, t->n, sizeof(*waits), ascending);
	for (size_t i = 0; i <= SIM_CURVE_POINTS; i++)
		c->quantile[i] = waits[i * (t->n - 1) / SIM_CURVE_POINTS];
}

static double largest(const struct sim_curve *c, size_t n, int of_quantiles)
{
	double max = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < SIM_CURVE_POINTS; k++) {
			double v = of_quantiles ? c[i].quantile[k + 1] : c[i].by_time[k];

			max = v > max ? v : max;
		}
	return max > 0 ? max : 1;
}

static void draw_by_time(FILE *out, const struct frame *f, const struct sim_curve *c, size_t i)
{
	double step = (c->last_s - c->first_s) / SIM_CURVE_POINTS;
	const char *letter = "M";

	fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", svg_colour(i));
	for (size_t k = 0; k < SIM_CURVE_POINTS; k++) {
		if (c->by_time[k] < 0)
			continue;
		fprintf(out, "%s%.1f %.1f", letter, svg_x(f, c->first_s + ((double)k + 0.5) * step),
			svg_y(f, c->by_time[k]));
		letter = "L";
	}
	fprintf(out, "\"/>\n");
}

/* Waits on a scale that shows seconds and days: the square root. */
static double scaled(double s)
{
	return s > 0 ? __builtin_sqrt(s) : 0;
}

static void draw_quantiles(FILE *out, const struct frame *f, const struct sim_curve *c, size_t i)
{
	const char *letter = "M";

	fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", svg_colour(i));
	for (size_t k = 0; k <= SIM_CURVE_POINTS; k++) {
		fprintf(out, "%s%.1f %.1f", letter, svg_x(f, scaled(c->quantile[k])),
			svg_y(f, 100.0 * (double)k / SIM_CURVE_POINTS));
		letter = "L";
	}
	fprintf(out, "\"/>\n");
}

static void axis_waits(FILE *out, const struct frame *f, double max)
{
	char buf[32];

	for (int i = 0; i <= 8; i++) {
		double x = f->left + (f->right - f->left) * i / 8, s = x * x;

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#444\"/>\n",
			svg_x(f, x), f->y + f->h, svg_x(f, x), f->y + f->h + 4);
		svg_text(out, svg_x(f, x), f->y + f->h + 18, "middle",
			 svg_seconds(i == 8 ? max : s, buf));
	}
}

void sim_svg_plot(FILE *out, const struct sim_curve *c, size_t n)
{
	double max_wait = largest(c, n, 1);
	struct frame above = { 90,         60,        WIDTH - 120, 290,
			       c->first_s, c->last_s, 0,           largest(c, n, 0) * 1.05 };
	struct frame below = { 90, 440, WIDTH - 120, 260, 0, scaled(max_wait), 0, 100 };

	svg_begin(out, WIDTH, HEIGHT, "Waiting");
	svg_axis_value(out, &above, 1);
	svg_axis_value(out, &below, 0);
	for (size_t i = 0; i < n; i++) {
		double x = 90 + (double)(i % 6) * 180, y;

		draw_by_time(out, &above, &c[i], i);
		draw_quantiles(out, &below, &c[i], i);
		y = 40 + (double)(i / 6) * 14;
		fprintf(out,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"4\" fill=\"%s\"/>\n", x,
			y - 6, svg_colour(i));
		svg_text(out, x + 18, y, "start", c[i].name);
	}
	svg_axis_time(out, &above, 0);
	axis_waits(out, &below, max_wait);
	svg_text(out, 90, above.y + above.h + 36, "start",
		 "mean wait of the jobs submitted then; time since the first");
	svg_text(out, 90, below.y + below.h + 36, "start",
		 "share of jobs (%) that waited at most so long");
	svg_end(out);
}
