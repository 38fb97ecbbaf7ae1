/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "kvm/probe_int.h"
#include "util/fault.h"
#include "util/test.h"

static void every_verdict_has_a_name(void **state)
{
	(void)state;
	for (int v = 0; v < KVM_VERDICTS; v++)
		assert_string_not_equal(kvm_verdict_name(v), "unknown");
	assert_string_equal(kvm_verdict_name(KVM_VERDICTS), "unknown");
}

static void an_absent_kvm_is_said_to_be_absent(void **state)
{
	struct kvm_result r;

	(void)state;
	kvm_probe("/nonexistent/kvm", &r);
	assert_int_equal(r.verdict, KVM_ABSENT);
	assert_string_equal(r.reason, "/nonexistent/kvm is absent");
	assert_int_equal(r.rate, 0);
}

static void what_opens_but_is_no_kvm_is_broken(void **state)
{
	int fds = fault_open_fds();
	struct kvm_result r;

	(void)state;
	kvm_probe("/dev/null", &r);
	assert_int_equal(r.verdict, KVM_BROKEN);
	assert_string_equal(r.reason, "KVM has API version -1");
	assert_int_equal(fault_open_fds(), fds);
}

static void a_slow_kernel_mode_is_emulated(void **state)
{
	static const struct {
		uint64_t rate;
		enum kvm_verdict want;
	} cases[] = {
		{ 0, KVM_EMULATED },      { 2000000, KVM_EMULATED },  { 19999999, KVM_EMULATED },
		{ 20000000, KVM_USABLE }, { 3000000000, KVM_USABLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_result r = { 0 };

		probe_judge(cases[i].rate, &r);
		assert_int_equal(r.verdict, cases[i].want);
		assert_int_equal(r.rate, cases[i].rate);
		assert_true(r.reason[0]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verdict_has_a_name),
		cmocka_unit_test(an_absent_kvm_is_said_to_be_absent),
		cmocka_unit_test(what_opens_but_is_no_kvm_is_broken),
		cmocka_unit_test(a_slow_kernel_mode_is_emulated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
