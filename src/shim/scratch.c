/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/scratch.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/mem.h"

#define IDLE_NS INT64_C(1000000000)

static void on_idle(void *arg)
{
	struct scratch *s = arg;

	poll_timer_free(TAKE(s->idle));
	if (s->was_used) {
		s->was_used = false;
		s->idle = poll_timer_new(s->poller, IDLE_NS, on_idle, s);
		return;
	}
	munmap(TAKE(s->buf), SCRATCH_BYTES);
	malloc_trim(0); /* what was busy until now may have left holes */
}

char *scratch_get(struct scratch *s)
{
	s->was_used = true;
	if (s->buf)
		return s->buf;
	s->buf =
	    mmap(NULL, SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->buf == MAP_FAILED)
		abort();
	s->idle = poll_timer_new(s->poller, IDLE_NS, on_idle, s);
	return s->buf;
}

void scratch_done(struct scratch *s)
{
	poll_timer_free(TAKE(s->idle));
	if (s->buf)
		munmap(TAKE(s->buf), SCRATCH_BYTES);
}
