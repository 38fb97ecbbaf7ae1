/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/svg_int.h"
#include "util/mem.h"

void svg_begin(FILE *out, int width, int height, const char *title)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
		width, height, width, height, width, height);
	fprintf(out, "<g font-size=\"15\">");
	svg_text(out, 16, 24, "start", title);
	fprintf(out, "</g>\n");
}

void svg_end(FILE *out)
{
	fprintf(out, "</svg>\n");
}

void svg_text(FILE *out, double x, double y, const char *anchor, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	for (; *text; text++)
		if (*text == '<' || *text == '&' || *text == '>')
			fprintf(out, "&#%d;", *text);
		else
			fputc(*text, out);
	fprintf(out, "</text>\n");
}

double svg_x(const struct frame *f, double value)
{
	double span = f->right - f->left;

	return f->x + (span > 0 ? (value - f->left) / span : 0) * f->w;
}

double svg_y(const struct frame *f, double value)
{
	double span = f->top - f->bottom;

	return f->y + f->h - (span > 0 ? (value - f->bottom) / span : 0) * f->h;
}

const char *svg_colour(size_t i)
{
	static const char *const colours[] = { "#3b6fb6", "#d9822b", "#3f9a5b", "#b8434e",
					       "#8460a8", "#8a6d4b", "#c774b2", "#6b7280",
					       "#a8a332", "#2ba3b4", "#1f4e79", "#e0a458" };

	return colours[i % ARRAY_SIZE(colours)];
}

const char *svg_seconds(double s, char *buf)
{
	static const struct {
		double size;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s >= units[i].size * 2 || i == ARRAY_SIZE(units) - 1) {
			snprintf(buf, 32, "%.4g %s", s / units[i].size, units[i].name);
			break;
		}
	return buf;
}

/* A round step that cuts @span into about @parts. */
static double round_step(double span, double parts, int is_time)
{
	static const double times[] = { 1,      2,      5,      10,      15,      30,
					60,     120,    300,    600,     900,     1800,
					3600,   7200,   10800,  21600,   43200,   86400,
					172800, 432000, 864000, 1728000, 4320000, 8640000 };
	double want = span / parts, step = 1;

	if (is_time && want > 1)
		for (size_t i = 0; i < ARRAY_SIZE(times); i++)
			if (times[i] >= want)
				return times[i];
	if (want <= 0)
		return 1;
	while (step > want)
		step /= 10;
	while (step * 10 <= want)
		step *= 10;
	return want > step * 5   ? step * 10
	       : want > step * 2 ? step * 5
	       : want > step     ? step * 2
				 : step;
}

static void tick(FILE *out, double x1, double y1, double x2, double y2, const char *colour)
{
	fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1,
		y1, x2, y2, colour);
}

void svg_axis_time(FILE *out, const struct frame *f, double origin_s)
{
	double step = round_step(f->right - f->left, 8, 1);
	char buf[32];

	tick(out, f->x, f->y + f->h, f->x + f->w, f->y + f->h, "#444");
	for (double v = 0; v <= f->right - f->left; v += step) {
		double x = svg_x(f, f->left + v);

		tick(out, x, f->y + f->h, x, f->y + f->h + 4, "#444");
		svg_text(out, x, f->y + f->h + 18, "middle", svg_seconds(v + origin_s, buf));
	}
}

void svg_axis_value(FILE *out, const struct frame *f, int is_time)
{
	double step = round_step(f->top - f->bottom, 5, is_time);
	char buf[32];

	tick(out, f->x, f->y, f->x, f->y + f->h, "#444");
	for (double v = f->bottom; v <= f->top; v += step) {
		double y = svg_y(f, v);

		tick(out, f->x, y, f->x + f->w, y, "#e4e4e4");
		snprintf(buf, sizeof(buf), "%g", v);
		svg_text(out, f->x - 6, y + 4, "end", is_time ? svg_seconds(v, buf) : buf);
	}
}

/* ---- bins ---- */

void bins_init(struct bins *b, size_t n, double from, double to)
{
	*b = (struct bins) { .n = n, .from = from, .to = to > from ? to : from + 1 };
	b->edge = xcalloc(n + 2, sizeof(double));
	b->full = xcalloc(n + 2, sizeof(double));
}

void bins_done(struct bins *b)
{
	free(b->edge);
	free(b->full);
	*b = (struct bins) { 0 };
}

void bins_add(struct bins *b, double from, double to, double height)
{
	double width = (b->to - b->from) / (double)b->n;
	double x = (from - b->from) / width, y = (to - b->from) / width;
	size_t i, k;

	x = x < 0 ? 0 : x;
	y = y > (double)b->n ? (double)b->n : y;
	if (!(y > x))
		return;
	i = (size_t)x;
	k = (size_t)y;
	if (i == k) {
		b->edge[i] += (y - x) * height;
		return;
	}
	/* Partly covered at both ends, fully between: that part as a difference. */
	b->edge[i] += ((double)i + 1 - x) * height;
	b->edge[k] += (y - (double)k) * height;
	b->full[i + 1] += height;
	b->full[k] -= height;
}

void bins_mean(const struct bins *b, double *ret)
{
	double level = 0;

	for (size_t i = 0; i < b->n; i++) {
		level += b->full[i];
		ret[i] = b->edge[i] + level;
	}
}
