/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/resources.h"

#include "util/mem.h"
#include "util/test.h"

static struct spec *limited(void)
{
	struct spec *s = spec_new();

	s->memory_bytes = 67108864;
	s->memory_reservation_bytes = 33554432;
	s->cpu_milli = 1500;
	s->cpu_shares = 512;
	s->cpuset_cpus = xstrdup("0");
	s->pids_limit = 9;
	s->blkio_weight = 300;
	return s;
}

static void limits_survive_the_way_through_the_document(void **state)
{
	OWN(spec) struct spec *s = limited();
	OWN(json) json_t *j = NULL;
	struct resources c = { 0 };

	(void)state;
	assert_ok(resources_from_spec(s, &j));
	assert_ok(resources_read(j, &c));
	assert_int_equal(c.l.memory, 67108864);
	assert_int_equal(c.l.memory_swap, 2 * 67108864);
	assert_int_equal(c.l.memory_reservation, 33554432);
	assert_int_equal(c.l.swappiness, -1);
	assert_int_equal(c.l.cpu_quota_us, 150000);
	assert_int_equal(c.l.cpu_period_us, 100000);
	assert_int_equal(c.l.cpu_shares, 512);
	assert_string_equal(c.l.cpuset_cpus, "0");
	assert_null(c.l.cpuset_mems);
	assert_int_equal(c.l.pids, 9);
	assert_int_equal(c.l.blkio_weight, 300);
	resources_done(&c);
}

static void a_priority_is_a_weight_unless_one_is_said(void **state)
{
	static const struct {
		int64_t priority, said, shares;
	} cases[] = {
		{ 0, 0, 0 },           { 1, 0, 1280 }, { -1, 0, 819 },     { 20, 0, 88772 },
		{ 1000000, 0, 88772 }, { -20, 0, 9 },  { -1000000, 0, 9 }, { 5, 300, 300 },
	};

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		OWN(spec) struct spec *s = spec_new();

		s->priority = cases[n].priority;
		s->cpu_shares = cases[n].said;
		assert_int_equal(resources_cpu_shares(s), cases[n].shares);
	}
}

static void device_rules_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"devices\":[{\"allow\":true,\"type\":\"x\"}]}",
		"{\"devices\":[{\"allow\":true,\"type\":\"c\",\"access\":\"rwmm\"}]}",
		"{\"devices\":[{\"allow\":true,\"type\":\"\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(json) json_t *j = NULL;
		struct resources c = { 0 };

		assert_ok(jx_parse(bad[i], strlen(bad[i]), &j));
		assert_err(resources_read(j, &c), ERR_INVALID);
		resources_done(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_survive_the_way_through_the_document),
		cmocka_unit_test(a_priority_is_a_weight_unless_one_is_said),
		cmocka_unit_test(device_rules_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
