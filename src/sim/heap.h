/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

/*
 * Events to come, by time, then kind, then the order in which they were added.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In this order at one instant. */
enum event_kind {
	EVENT_EXPIRES, /* a running job outlives its estimate */
	EVENT_ENDS,
	EVENT_SLICE, /* a slicer wants a pass; job: its number */
};

struct event {
	int64_t at_ns;
	uint64_t order; /* kind, then number */
	uint32_t job, handle;
};

struct heap {
	struct event *v;
	size_t n, cap;
	uint64_t number;
};

void heap_done(struct heap *h);

/** heap_add() - Return: the event's order, which no other has */
uint64_t heap_add(struct heap *h, int64_t at_ns, enum event_kind kind, uint32_t job,
		  uint32_t handle);

/** heap_take() - the first event; there is one */
struct event heap_take(struct heap *h);

static inline enum event_kind event_kind(const struct event *e)
{
	return (enum event_kind)(e->order >> 56);
}

#endif
