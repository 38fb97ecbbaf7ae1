/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_text.h"

#include "util/mem.h"
#include "util/test.h"

#define S 1000000000LL

static void durations_read_as_dockers(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "Less than a second" }, { 1, "1 second" },
		{ 59, "59 seconds" },        { 60, "About a minute" },
		{ 119, "About a minute" },   { 120, "2 minutes" },
		{ 3599, "59 minutes" },      { 3600, "About an hour" },
		{ 2 * 3600, "2 hours" },     { 47 * 3600, "47 hours" },
		{ 48 * 3600, "2 days" },     { 14 * 86400, "2 weeks" },
		{ 60 * 86400, "2 months" },  { 800 * 86400LL, "2 years" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(str) struct str out = { 0 };

		docker_duration(cases[i].seconds * S, &out);
		assert_string_equal(out.buf, cases[i].text);
	}
}

static void each_state_has_its_status(void **state)
{
	struct spec spec = { 0 };
	static const struct {
		struct instance_view v;
		const char *word, *status;
	} cases[] = {
		{ { .state = INST_CREATED }, "created", "Created" },
		{ { .state = INST_RUNNING, .ever_ran = true, .started_ns = 7 * S },
		  "running",
		  "Up 3 seconds" },
		{ { .state = INST_RUNNING,
		    .ever_ran = true,
		    .started_ns = 7 * S,
		    .is_paused = true },
		  "paused",
		  "Up 3 seconds (Paused)" },
		{ { .state = INST_EXITED, .ever_ran = true, .exit_code = 3, .finished_ns = 9 * S },
		  "exited",
		  "Exited (3) 1 second ago" },
		{ { .state = INST_QUEUED, .queue_reason = "memory: needs 4 GiB" },
		  "created",
		  "Queued (memory: needs 4 GiB)" },
		{ { .state = INST_REQUEUED, .ever_ran = true, .queue_reason = "cpu" },
		  "exited",
		  "Queued (cpu)" },
		{ { .state = INST_REQUEUED,
		    .ever_ran = true,
		    .is_restarting = true,
		    .exit_code = 1,
		    .finished_ns = 8 * S },
		  "restarting",
		  "Restarting (1) 2 seconds ago" },
		{ { .state = INST_STARTING }, "created", "Created" },
		{ { .state = INST_RUNNING, .health = HEALTH_STARTING, .started_ns = 9 * S },
		  "running",
		  "Up 1 second (health: starting)" },
		{ { .state = INST_RUNNING, .health = HEALTH_UNHEALTHY, .started_ns = 9 * S },
		  "running",
		  "Up 1 second (unhealthy)" },
		{ { .state = INST_RUNNING,
		    .health = HEALTH_HEALTHY,
		    .is_paused = true,
		    .started_ns = 9 * S },
		  "paused",
		  "Up 1 second (Paused)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct instance_view v = cases[i].v;
		OWN(str) struct str out = { 0 };

		v.spec = &spec;
		docker_status(&v, 10 * S, &out);
		assert_string_equal(docker_state(&v), cases[i].word);
		assert_string_equal(out.buf, cases[i].status);
	}
}

static void times_are_read_in_every_form(void **state)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} cases[] = {
		{ "1700000000", 1700000000 * S },
		{ "1700000000.5", 1700000000 * S + S / 2 },
		{ "1700000000.000000005", 1700000000 * S + 5 },
		{ "1970-01-01T00:00:10Z", 10 * S },
		{ "1970-01-01T00:00:10.25Z", 10 * S + S / 4 },
		{ "1970-01-01T02:00:10+02:00", 10 * S },
		{ "1970-01-02", 86400 * S },
		{ "10m", 400 * S },
		{ "soon", -1 },
		{ "", -1 },
		{ "1700000000.x", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = -1;
		struct err *e = docker_time_read(cases[i].text, 1000 * S, &ns);

		if (e ? cases[i].ns != -1 : ns != cases[i].ns)
			fail_msg("%s: %s", cases[i].text, e ? err_text(e) : "read differently");
		err_free(e);
	}
}

static void both_forms_of_filters_are_read(void **state)
{
	static const char *const allowed[] = { "label", "status", "label!", NULL };
	OWN(filters) struct docker_filters a = { 0 };
	OWN(filters) struct docker_filters b = { 0 };
	OWN(filters) struct docker_filters none = { 0 };
	struct strmap labels = { 0 };

	(void)state;
	assert_ok(docker_filters_read("{\"label\":[\"x=1\",\"y\"],\"status\":[\"running\"]}",
				      allowed, &a));
	assert_ok(docker_filters_read("{\"label!\":{\"z\":true,\"q\":false}}", allowed, &b));
	assert_ok(docker_filters_read("", allowed, &none));
	assert_int_equal(a.keys.n, 3);
	assert_int_equal(b.keys.n, 1);
	assert_true(docker_filter_exact(&a, "status", "running"));
	assert_false(docker_filter_exact(&a, "status", "exited"));
	assert_true(docker_filter_exact(&none, "status", "exited"));
	strmap_set(&labels, "x", "1");
	assert_false(docker_filter_labels(&a, &labels));
	strmap_set(&labels, "y", "");
	assert_true(docker_filter_labels(&a, &labels));
	assert_true(docker_filter_labels(&b, &labels));
	strmap_set(&labels, "z", "");
	assert_false(docker_filter_labels(&b, &labels));
	strmap_done(&labels);
	assert_err(docker_filters_read("{\"name\":[\"x\"]}", allowed, &none), ERR_INVALID);
	assert_err(docker_filters_read("{\"label\":[1]}", allowed, &none), ERR_INVALID);
	assert_err(docker_filters_read("[]", allowed, &none), ERR_INVALID);
	assert_err(docker_filters_read("{", allowed, &none), ERR_INVALID);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_read_as_dockers),
		cmocka_unit_test(each_state_has_its_status),
		cmocka_unit_test(times_are_read_in_every_form),
		cmocka_unit_test(both_forms_of_filters_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
