/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SVG_INT_H
#define SIM_SVG_INT_H

/*
 * What both charts are drawn with: a frame with axes, colours, sums over intervals.
 */

#include <stddef.h>
#include <stdio.h>

struct frame {
	double x, y, w, h;  /* in pixels */
	double left, right; /* values at the edges */
	double bottom, top;
};

/** svg_begin() - header, background and title; @svg_end: closes it */
void svg_begin(FILE *out, int width, int height, const char *title);
void svg_end(FILE *out);

/** svg_text() - escaped; @anchor: "start", "middle", "end" */
void svg_text(FILE *out, double x, double y, const char *anchor, const char *text);

/** svg_axis_time() - ticks and labels under a frame, of seconds since its left edge @origin_s */
void svg_axis_time(FILE *out, const struct frame *f, double origin_s);

/** svg_axis_value() - ticks, labels and faint lines at the left; @is_time: of seconds */
void svg_axis_value(FILE *out, const struct frame *f, int is_time);

double svg_x(const struct frame *f, double value);
double svg_y(const struct frame *f, double value);

/** svg_colour() - the @i-th of twelve that can be told apart; static storage */
const char *svg_colour(size_t i);

/** svg_seconds() - "90 s", "2.5 h"; @buf at least 32 bytes */
const char *svg_seconds(double s, char *buf);

/* Mean over each of @n equal intervals of a function that is a sum of steps. */
struct bins {
	double *edge, *full; /* n + 1 each */
	size_t n;
	double from, to;
};

void bins_init(struct bins *b, size_t n, double from, double to);
void bins_done(struct bins *b);

/** bins_add() - the function is @height higher between @from and @to */
void bins_add(struct bins *b, double from, double to, double height);

/** bins_mean() - means into @ret of n values */
void bins_mean(const struct bins *b, double *ret);

#endif
