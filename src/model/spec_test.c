/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spec.h"

#include "util/mem.h"
#include "util/test.h"

static struct spec *full(void)
{
	struct spec *s = spec_new();

	s->kind = SPEC_IMAGE_VM;
	str_set(&s->name, "web");
	str_set(&s->image, "debian:12");
	strv_add(&s->cmd, "sh");
	strmap_set(&s->labels, "a", "");
	s->memory_bytes = 1 << 30;
	s->memory_swap_bytes = -1;
	s->restart = RESTART_ON_FAILURE;
	s->restart_max = 3;
	s->n_ports = 1;
	s->ports = xnew(struct spec_port);
	*s->ports = (struct spec_port) { .protocol = xstrdup("udp"), .container_port = 53 };
	s->n_disks = 1;
	s->disks = xnew(struct spec_disk);
	s->disks->new_bytes = 20 << 20;
	return s;
}

static void the_stored_form_reads_back_the_same(void **state)
{
	OWN(spec) struct spec *s = full();
	OWN(spec) struct spec *back = NULL;
	OWN(json) json_t *j = spec_to_json(s);
	OWN(json) json_t *again = NULL;

	(void)state;
	assert_ok(spec_from_json(j, &back));
	again = spec_to_json(back);
	assert_true(json_equal(j, again));
	assert_null(back->hostname); /* never said: still NULL */
	assert_int_equal(back->stop_timeout_s, -1);
	assert_int_equal(back->memory_swap_bytes, -1);
	assert_string_equal(back->ports[0].protocol, "udp");
	assert_string_equal(back->labels.v[0].value, "");
}

static void a_newer_spec_is_refused(void **state)
{
	OWN(json) json_t *j = json_pack("{s:i}", "Version", SPEC_VERSION + 1);
	OWN(json) json_t *none = json_object();
	struct spec *s = NULL;

	(void)state;
	assert_err(spec_from_json(j, &s), ERR_UNSUPPORTED);
	assert_err(spec_from_json(none, &s), ERR_INVALID);
	assert_null(s);
}

static void names_are_what_docker_takes(void **state)
{
	static const char *const good[] = { "web", "a1", "A.b_c-d" };
	static const char *const bad[] = { "",   "a",   "/web", "a/b",      "-x",
					   ".x", "a b", "a\nb", "\xc3\xa9t" };
	char long_name[300];

	(void)state;
	memset(long_name, 'a', sizeof(long_name));
	long_name[256] = '\0';
	assert_err(spec_check_name(long_name), ERR_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(spec_check_name(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(spec_check_name(bad[i]), ERR_INVALID);
}

static void break_memory(struct spec *s)
{
	s->memory_bytes = 1024;
}

static void break_reservation(struct spec *s)
{
	s->memory_bytes = 64 << 20;
	s->memory_reservation_bytes = 65 << 20;
}

static void break_swap(struct spec *s)
{
	s->memory_swap_bytes = 1 << 30;
}

static void break_cpus(struct spec *s)
{
	s->cpu_milli = 500;
	s->cpu_quota_us = 50000;
}

static void break_remove(struct spec *s)
{
	s->auto_remove = true;
	s->restart = RESTART_ALWAYS;
}

static void break_workdir(struct spec *s)
{
	str_set(&s->workdir, "tmp");
}

static void break_vm_network(struct spec *s)
{
	s->kind = SPEC_IMAGE_VM;
	str_set(&s->network_mode, "host");
}

static void break_vm_pids(struct spec *s)
{
	s->kind = SPEC_MACHINE;
	s->pids_limit = 9;
}

static void break_rate(struct spec *s)
{
	s->net_ingress_bps = 1000;
	str_set(&s->network_mode, "none");
}

static void break_log(struct spec *s)
{
	str_set(&s->log_driver, "syslog");
}

static void break_cgroup(struct spec *s)
{
	str_set(&s->cgroup_parent, "/a/../b");
}

static void break_log_opt(struct spec *s)
{
	strmap_set(&s->log_opts, "colour", "red");
}

static void break_log_size(struct spec *s)
{
	strmap_set(&s->log_opts, "max-size", "large");
}

static void break_initrd(struct spec *s)
{
	s->kind = SPEC_MACHINE;
	str_set(&s->initrd, "/i");
}

static void what_contradicts_itself_is_refused_in_one_line(void **state)
{
	static const struct {
		void (*make)(struct spec *s);
		const char *says;
	} cases[] = {
		{ break_memory, "did you mean 1024m?" },
		{ break_reservation, "memory reservation" },
		{ break_swap, "Memoryswap" },
		{ break_cpus, "Conflicting options" },
		{ break_remove, "restart policy" },
		{ break_workdir, "absolute path" },
		{ break_vm_network, "a VM cannot have --network host" },
		{ break_vm_pids, "a VM cannot have --pids-limit" },
		{ break_rate, "--net-rate needs a network of its own, not none" },
		{ break_log, "no log driver named 'syslog'" },
		{ break_cgroup, "\"..\" is not allowed" },
		{ break_log_opt, "unknown log opt 'colour'" },
		{ break_log_size, "max-size" },
		{ break_initrd, "--initrd needs --kernel" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(spec) struct spec *s = spec_new();
		OWN(err) struct err *e = NULL;

		assert_ok(spec_check(s));
		cases[i].make(s);
		e = spec_check(s);
		assert_non_null(e);
		assert_non_null(strstr(err_text(e), cases[i].says));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stored_form_reads_back_the_same),
		cmocka_unit_test(a_newer_spec_is_refused),
		cmocka_unit_test(names_are_what_docker_takes),
		cmocka_unit_test(what_contradicts_itself_is_refused_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
