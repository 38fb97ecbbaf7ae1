/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/rig.h"

#include "util/mem.h"

static bool ends_before(const struct rig *r, size_t x, size_t y)
{
	const struct rig_job *a = &r->jobs[x], *b = &r->jobs[y];

	return a->end != b->end ? a->end < b->end : a->nth < b->nth;
}

static void heap_add(struct rig *r, size_t job)
{
	size_t i = r->n_running++;

	for (; i && ends_before(r, job, r->running[(i - 1) / 2]); i = (i - 1) / 2)
		r->running[i] = r->running[(i - 1) / 2];
	r->running[i] = job;
}

static size_t heap_pop(struct rig *r)
{
	size_t top = r->running[0], last = r->running[--r->n_running], i = 0;

	for (size_t c; (c = 2 * i + 1) < r->n_running; i = c) {
		if (c + 1 < r->n_running && ends_before(r, r->running[c + 1], r->running[c]))
			c++;
		if (ends_before(r, last, r->running[c]))
			break;
		r->running[i] = r->running[c];
	}
	r->running[i] = last;
	return top;
}

static void pass(struct rig *r, int64_t now)
{
	struct alloc_result res = alloc_pass(r->a, now * SEC);

	for (size_t i = 0; i < res.n_starts; i++) {
		struct rig_job *j = &r->jobs[res.starts[i].tag];

		j->start = now;
		j->end = now + j->run;
		j->node = res.starts[i].node;
		j->nth = r->n_started++;
		heap_add(r, res.starts[i].tag);
	}
	if (r->seen)
		r->seen(r, now);
}

static void arrive(struct rig *r)
{
	struct rig_job *j = &r->jobs[r->n_arrived];

	j->start = j->end = -1;
	j->handle = alloc_arrive(r->a, &(struct alloc_job) {
					   .tag = r->n_arrived,
					   .demand = j->demand,
					   .arrival_ns = j->submit * SEC,
					   .planned_ns = j->est * SEC,
					   .deadline_ns = j->deadline * SEC,
					   .priority = j->priority,
					   .user = j->user,
					   .label = j->user,
				       });
	r->n_arrived++;
}

static void end(struct rig *r)
{
	alloc_leave(r->a, r->jobs[heap_pop(r)].handle);
}

void rig_run(struct rig *r)
{
	r->running = xcalloc(r->n + 1, sizeof(size_t));
	r->n_running = r->n_started = r->n_arrived = 0;
	while (r->n_arrived < r->n || r->n_running) {
		int64_t in = r->n_arrived < r->n ? r->jobs[r->n_arrived].submit : INT64_MAX;
		int64_t out = r->n_running ? r->jobs[r->running[0]].end : INT64_MAX;
		int64_t now = in < out ? in : out;

		if (r->seq) {
			if (in <= out)
				arrive(r);
			else
				end(r);
		} else {
			while (r->n_running && r->jobs[r->running[0]].end == now)
				end(r);
			while (r->n_arrived < r->n && r->jobs[r->n_arrived].submit == now)
				arrive(r);
		}
		pass(r, now);
	}
	free(r->running);
}

uint64_t rig_random(uint64_t *state, uint64_t n)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % n;
}
