/* SPDX-License-Identifier: Apache-2.0 */
/* Event logs told to a scheduler: whatever they say, it ends, and says where it ended. */
#include "fuzz.h"
#include "sim/replay.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;
	size_t n = in->left < size ? in->left : size;

	if (n)
		memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	*ret_n = n;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(sim_replay) struct sim_replay r = { 0 };
	struct input in = { data, size };
	OWN(err) struct err *e = sim_replay_read((struct source) { take, &in }, &r);

	check(r.decisions <= r.records && r.passes <= r.records && r.begins <= r.records);
	check(!e || !r.difference);
	return 0;
}
