/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/svg.h"
#include "sim/svg_int.h"
#include "util/mem.h"

/*
 * Who ran when.  Items (whole jobs, or slices of them) are laid onto the machine, drawn as the
 * interval [0, cpus): each takes the lowest places that are free, in several pieces where it must.
 */

#define WIDTH     1200
#define LEFT      70.0
#define CHART     (WIDTH - LEFT - 24)
#define BARS_MAX  4000 /* items drawn one by one */
#define LANES_MAX 64
#define COLUMNS   400
#define LEVELS    8

struct item {
	int64_t from_ns, to_ns;
	uint32_t job;
};

/* Places [low, high) in thousandths of a cpu. */
struct piece {
	int64_t low, high;
};

struct held {
	int64_t to_ns;
	struct piece piece;
};

struct layout {
	struct piece *free; /* sorted, apart */
	size_t n_free, cap_free;
	struct held *held; /* heap by to_ns */
	size_t n_held, cap_held;
};

struct chart {
	FILE *out;
	const struct sim_trace *t;
	struct frame frame;
	int64_t cpu_milli;
	struct bins *lanes; /* NULL: bars */
	size_t n_lanes;
};

static int by_start(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->from_ns != y->from_ns)
		return x->from_ns < y->from_ns ? -1 : 1;
	return (x->job > y->job) - (x->job < y->job);
}

static struct item *items_of(const struct sim_trace *t, const struct sim_run *r, size_t *ret_n)
{
	size_t n = r->n_slices ? r->n_slices : t->n;
	struct item *items = xcalloc(n + 1, sizeof(*items));

	for (size_t i = 0; i < n; i++)
		if (r->n_slices)
			items[i] = (struct item) { r->slices[i].from_ns, r->slices[i].to_ns,
						   r->slices[i].job };
		else
			items[i] =
			    (struct item) { t->jobs[i].start_ns, t->jobs[i].end_ns, (uint32_t)i };
	qsort(items, n, sizeof(*items), by_start);
	*ret_n = n;
	return items;
}

/* ---- layout ---- */

static void layout_done(struct layout *l)
{
	free(l->free);
	free(l->held);
}

static inline void own_layout_release(struct layout *l)
{
	layout_done(l);
}

static void free_insert(struct layout *l, size_t at, struct piece p)
{
	if (l->n_free == l->cap_free) {
		l->cap_free = l->cap_free * 2 + 16;
		l->free = xrealloc(l->free, l->cap_free, sizeof(*l->free));
	}
	memmove(&l->free[at + 1], &l->free[at], (l->n_free - at) * sizeof(*l->free));
	l->free[at] = p;
	l->n_free++;
}

static void free_remove(struct layout *l, size_t at)
{
	memmove(&l->free[at], &l->free[at + 1], (l->n_free - at - 1) * sizeof(*l->free));
	l->n_free--;
}

static void give_back(struct layout *l, struct piece p)
{
	size_t low = 0, high = l->n_free;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (l->free[mid].low < p.low)
			low = mid + 1;
		else
			high = mid;
	}
	free_insert(l, low, p);
	if (low + 1 < l->n_free && l->free[low].high == l->free[low + 1].low) {
		l->free[low].high = l->free[low + 1].high;
		free_remove(l, low + 1);
	}
	if (low && l->free[low - 1].high == l->free[low].low) {
		l->free[low - 1].high = l->free[low].high;
		free_remove(l, low);
	}
}

static void held_sift_down(struct layout *l)
{
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;
		struct held x = l->held[i];

		if (k >= l->n_held)
			return;
		k += k + 1 < l->n_held && l->held[k + 1].to_ns < l->held[k].to_ns;
		if (x.to_ns <= l->held[k].to_ns)
			return;
		l->held[i] = l->held[k];
		l->held[k] = x;
		i = k;
	}
}

static void held_add(struct layout *l, struct held h)
{
	size_t i = l->n_held++;

	if (i == l->cap_held) {
		l->cap_held = l->cap_held * 2 + 16;
		l->held = xrealloc(l->held, l->cap_held, sizeof(*l->held));
	}
	for (; i && h.to_ns < l->held[(i - 1) / 2].to_ns; i = (i - 1) / 2)
		l->held[i] = l->held[(i - 1) / 2];
	l->held[i] = h;
}

static void release_until(struct layout *l, int64_t now_ns)
{
	while (l->n_held && l->held[0].to_ns <= now_ns) {
		struct piece p = l->held[0].piece;

		l->held[0] = l->held[--l->n_held];
		held_sift_down(l);
		give_back(l, p);
	}
}

/* ---- drawing ---- */

static double seconds(int64_t ns)
{
	return (double)ns / SIM_SECOND;
}

static void draw_bar(const struct chart *c, const struct item *i, struct piece p)
{
	const struct sim_job *j = &c->t->jobs[i->job];
	const struct frame *f = &c->frame;
	double x = svg_x(f, seconds(i->from_ns)), w = svg_x(f, seconds(i->to_ns)) - x;
	double y = svg_y(f, (double)p.high / 1000), h = svg_y(f, (double)p.low / 1000) - y;

	fprintf(c->out,
		"<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" "
		"stroke=\"#fff\" stroke-width=\"%s\"><title>job %u: %g cpus, waited %g s, ran %g s"
		"</title></rect>\n",
		x, y, w > 0.3 ? w : 0.3, h, svg_colour(i->job), w > 3 && h > 3 ? "0.5" : "0",
		j->number, (double)j->cpu_milli / 1000,
		seconds(j->end_ns - j->submit_ns - j->run_ns), seconds(j->run_ns));
	if (w > 30 && h > 12) {
		char name[16];

		snprintf(name, sizeof(name), "%u", j->number);
		svg_text(c->out, x + w / 2, y + h / 2 + 4, "middle", name);
	}
}

static void shade(const struct chart *c, const struct item *i, struct piece p)
{
	double per_lane = (double)c->cpu_milli / (double)c->n_lanes;

	for (size_t k = (size_t)((double)p.low / per_lane); k < c->n_lanes; k++) {
		double low = (double)k * per_lane, high = low + per_lane;

		if (low >= (double)p.high)
			break;
		low = low > (double)p.low ? low : (double)p.low;
		high = high < (double)p.high ? high : (double)p.high;
		bins_add(&c->lanes[k], seconds(i->from_ns), seconds(i->to_ns),
			 (high - low) / per_lane);
	}
}

static void lay_out(const struct chart *c, const struct item *items, size_t n)
{
	OWN(layout) struct layout l = { 0 };

	free_insert(&l, 0, (struct piece) { 0, c->cpu_milli });
	for (size_t i = 0; i < n; i++) {
		int64_t need = c->t->jobs[items[i].job].cpu_milli;

		release_until(&l, items[i].from_ns);
		while (need > 0 && l.n_free) {
			struct piece p = l.free[0];

			if (p.high - p.low > need)
				p.high = p.low + need;
			need -= p.high - p.low;
			l.free[0].low = p.high;
			if (l.free[0].low == l.free[0].high)
				free_remove(&l, 0);
			held_add(&l, (struct held) { items[i].to_ns, p });
			if (c->lanes)
				shade(c, &items[i], p);
			else
				draw_bar(c, &items[i], p);
		}
	}
}

/* One lane: intervals of one shade become one rectangle. */
static void draw_lane(const struct chart *c, size_t lane)
{
	double mean[COLUMNS], h = c->frame.h / (double)c->n_lanes, w = c->frame.w / COLUMNS;
	double y = c->frame.y + c->frame.h - h * (double)(lane + 1);
	size_t from = 0;

	bins_mean(&c->lanes[lane], mean);
	for (size_t i = 1; i <= COLUMNS; i++) {
		int level = (int)(mean[from] * LEVELS + 0.5);

		if (i < COLUMNS && (int)(mean[i] * LEVELS + 0.5) == level)
			continue;
		if (level > 0)
			fprintf(c->out,
				"<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
				"fill=\"%s\" fill-opacity=\"%.3g\"/>\n",
				c->frame.x + w * (double)from, y, w * (double)(i - from), h,
				svg_colour(0), (double)level / LEVELS);
		from = i;
	}
}

static void draw_shaded(struct chart *c, const struct item *items, size_t n)
{
	size_t whole = (size_t)((c->cpu_milli + 999) / 1000);

	c->n_lanes = whole < LANES_MAX ? whole : LANES_MAX;
	c->lanes = xcalloc(c->n_lanes, sizeof(*c->lanes));
	for (size_t i = 0; i < c->n_lanes; i++)
		bins_init(&c->lanes[i], COLUMNS, c->frame.left, c->frame.right);
	lay_out(c, items, n);
	for (size_t i = 0; i < c->n_lanes; i++) {
		draw_lane(c, i);
		bins_done(&c->lanes[i]);
	}
	free(c->lanes);
	c->lanes = NULL;
}

static double largest(const double *v, size_t n)
{
	double max = 0;

	for (size_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	return max;
}

/* How many jobs were there and not running, beneath. */
static void draw_waiting(const struct chart *c, const struct sim_trace *t)
{
	struct frame f = c->frame;
	double mean[COLUMNS];
	struct bins b;

	f.y += f.h + 50;
	f.h = 120;
	bins_init(&b, COLUMNS, f.left, f.right);
	for (size_t i = 0; i < t->n; i++)
		bins_add(&b, seconds(t->jobs[i].submit_ns), seconds(t->jobs[i].start_ns), 1);
	bins_mean(&b, mean);
	bins_done(&b);
	f.bottom = 0;
	f.top = largest(mean, COLUMNS);
	f.top = f.top > 0 ? f.top * 1.05 : 1;
	svg_axis_value(c->out, &f, 0);
	fprintf(c->out, "<path d=\"M%.1f %.1f", f.x, f.y + f.h);
	for (size_t i = 0; i < COLUMNS; i++)
		fprintf(c->out, " L%.1f %.1f H%.1f", f.x + f.w * (double)i / COLUMNS,
			svg_y(&f, mean[i]), f.x + f.w * (double)(i + 1) / COLUMNS);
	fprintf(c->out, " V%.1f Z\" fill=\"%s\" fill-opacity=\"0.7\"/>\n", f.y + f.h,
		svg_colour(1));
	svg_axis_time(c->out, &f, 0);
	svg_text(c->out, f.x + 6, f.y + 12, "start", "jobs waiting");
}

void sim_svg_gantt(FILE *out, const struct sim_trace *t, const struct sim_run *r, int64_t cpu_milli)
{
	size_t n;
	OWN(mem) struct item *items = items_of(t, r, &n);
	OWN(mem) char *title = NULL;
	double rows = (double)cpu_milli / 1000;
	struct chart c = { .out = out, .t = t, .cpu_milli = cpu_milli };
	int64_t first = t->jobs[0].submit_ns, last = first;

	for (size_t i = 0; i < t->n; i++)
		last = t->jobs[i].end_ns > last ? t->jobs[i].end_ns : last;
	c.frame =
	    (struct frame) { LEFT,          44, CHART, rows < 12 ? 34 * rows : 400, seconds(first),
			     seconds(last), 0,  rows };
	title = xasprintf("%s: %zu jobs on %g cpus, %.1f %% busy", r->result.policy, t->n, rows,
			  r->result.utilisation * 100);
	svg_begin(out, WIDTH, (int)c.frame.h + 260, title);
	svg_axis_value(out, &c.frame, 0);
	if (n <= BARS_MAX)
		lay_out(&c, items, n);
	else
		draw_shaded(&c, items, n);
	svg_axis_time(out, &c.frame, 0);
	draw_waiting(&c, t);
	svg_end(out);
}
