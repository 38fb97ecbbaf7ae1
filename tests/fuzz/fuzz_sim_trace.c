/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of all formats: SWF, CSV, event logs; the first byte says how they are cut. */
#include "fuzz.h"
#include "sim/trace.h"

struct input {
	const uint8_t *data;
	size_t left, cut;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;
	size_t n = in->left < size ? in->left : size;

	n = n > in->cut ? in->cut : n;
	if (n)
		memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	*ret_n = n;
	return NULL;
}

static void check_job(const struct sim_trace *t, size_t i)
{
	const struct sim_job *j = &t->jobs[i];

	check(j->submit_ns >= 0 && j->submit_ns <= SIM_TIME_MAX);
	check(j->run_ns > 0 && j->run_ns <= j->est_ns && j->run_ns <= SIM_TIME_MAX);
	check(j->user < t->users.n);
	check(!i || t->jobs[i - 1].submit_ns <= j->submit_ns);
	check(!t->more || (t->more[i].memory_bytes >= 0 && t->more[i].gpu_milli >= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(sim_trace) struct sim_trace t = { 0 };
	struct sim_limits limits = { .cpu_milli = 100000, .changes = true };
	struct input in = { data + 1, size - 1, size ? data[0] + 1U : 0 };
	struct err *e;

	if (!size)
		return 0;
	e = sim_trace_read((struct source) { take, &in }, &limits, &t);
	for (size_t i = 0; i < t.n && !e; i++)
		check_job(&t, i);
	err_free(e);
	err_free(sim_trace_strict(&t));
	return 0;
}
