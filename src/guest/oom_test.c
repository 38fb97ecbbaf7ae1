/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/oom.h"

#include <string.h>

#include "util/test.h"

static void the_victim_is_the_name_in_the_kernels_record(void **state)
{
	static const struct {
		const char *record, *victim;
	} cases[] = {
		{ "3,741,9022,-;Out of memory: Killed process 77 (sh) total-vm:1kB, anon-rss:1kB\n",
		  "sh" },
		{ "3,1,2,-;Memory cgroup out of memory: Killed process 5 (a) (b) total-vm:1kB",
		  "a) (b" },
		{ "3,1,2,-;Killed process 5 (fifteen letters!) total-vm:1kB", "fifteen letters" },
		{ "6,1,2,-;oom_reaper: reaped process 77 (sh), now anon-rss:0kB", NULL },
		{ "3,1,2,-;Killed process 5 (cut", NULL },
		{ "3,1,2,-;Killed process ", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char victim[16] = "before";

		assert_int_equal(guest_oom_victim(cases[i].record, victim),
				 cases[i].victim != NULL);
		assert_string_equal(victim, cases[i].victim ? cases[i].victim : "before");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_victim_is_the_name_in_the_kernels_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
