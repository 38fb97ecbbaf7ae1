/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "model/lifecycle.h"
#include "util/err.h"
#include "util/test.h"

static void happy_path(void **state)
{
	(void)state;
	enum inst_state s = INST_CREATED;
	static const enum inst_event day[] = { EV_START, EV_ADMITTED, EV_STARTED,
					       EV_STOP,  EV_EXITED,   EV_REMOVE };

	for (size_t i = 0; i < ARRAY_SIZE(day); i++) {
		struct inst_step step = inst_step(s, day[i]);

		assert_true(step.action != ACT_REFUSE);
		s = step.next;
	}
	assert_int_equal(s, INST_REMOVED);
}

static void an_exit_is_never_refused_while_something_may_run(void **state)
{
	(void)state;
	static const enum inst_state live[] = { INST_STARTING, INST_RUNNING, INST_STOPPING };

	for (size_t i = 0; i < ARRAY_SIZE(live); i++)
		assert_int_equal(inst_step(live[i], EV_EXITED).action, ACT_REAP);
}

static void a_queued_instance_can_be_withdrawn_but_not_started_twice(void **state)
{
	(void)state;
	assert_int_equal(inst_step(INST_QUEUED, EV_STOP).action, ACT_WITHDRAW);
	assert_int_equal(inst_step(INST_QUEUED, EV_START).action, ACT_REFUSE);
}

static void withdrawing_a_second_run_keeps_the_first_one_s_exit(void **state)
{
	(void)state;
	assert_int_equal(inst_step(INST_EXITED, EV_START).next, INST_REQUEUED);
	assert_int_equal(inst_step(INST_REQUEUED, EV_STOP).next, INST_EXITED);
}

static void refusal_keeps_the_state_and_removed_is_final(void **state)
{
	(void)state;
	for (int s = 0; s < INST_STATES; s++)
		for (int e = 0; e < INST_EVENTS; e++) {
			struct inst_step step = inst_step((enum inst_state)s, (enum inst_event)e);

			if (step.action == ACT_REFUSE || s == INST_REMOVED)
				assert_int_equal(step.next, s);
		}
}

static void every_state_can_reach_removed(void **state)
{
	(void)state;
	for (int from = 0; from < INST_STATES; from++) {
		bool seen[INST_STATES] = { false };

		seen[from] = true;
		for (int pass = 0; pass < INST_STATES; pass++)
			for (int s = 0; s < INST_STATES; s++)
				for (int e = 0; seen[s] && e < INST_EVENTS; e++)
					seen[inst_step((enum inst_state)s, (enum inst_event)e)
						 .next] = true;
		if (!seen[INST_REMOVED])
			fail_msg("%s is a trap", inst_state_name((enum inst_state)from));
	}
}

static void every_state_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < INST_STATES; a++) {
		assert_true(inst_state_name((enum inst_state)a));
		for (int b = 0; b < a; b++)
			assert_true(strcmp(inst_state_name((enum inst_state)a),
					   inst_state_name((enum inst_state)b)));
	}
}

static void a_frozen_instance_thaws_only_when_its_last_reason_is_gone(void **state)
{
	(void)state;
	struct inst_freeze f = { 0 };

	assert_true(inst_freeze_set(&f, FREEZE_SLICE, true));
	assert_true(!inst_freeze_set(&f, FREEZE_USER, true));
	assert_true(!inst_freeze_set(&f, FREEZE_SLICE, false));
	assert_true(!inst_freeze_set(&f, FREEZE_SLICE, false));
	assert_true(inst_freeze_set(&f, FREEZE_USER, false));
	assert_int_equal(f.reasons, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(happy_path),
		cmocka_unit_test(an_exit_is_never_refused_while_something_may_run),
		cmocka_unit_test(a_queued_instance_can_be_withdrawn_but_not_started_twice),
		cmocka_unit_test(withdrawing_a_second_run_keeps_the_first_one_s_exit),
		cmocka_unit_test(refusal_keeps_the_state_and_removed_is_final),
		cmocka_unit_test(every_state_can_reach_removed),
		cmocka_unit_test(every_state_has_a_name_of_its_own),
		cmocka_unit_test(a_frozen_instance_thaws_only_when_its_last_reason_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
