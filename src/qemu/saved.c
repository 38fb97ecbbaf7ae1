/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/argv.h"
#include "qemu/plan.h"
#include "qemu/split.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define VERSION 1
#define FORMAT  "hostel-vm"

/* Two measurements of the same host's TSC differ by less: one in a thousand. */
#define TSC_TOLERANCE 1000

/* ---- the machine ---- */

static const json_t *vm_of(const json_t *plan)
{
	return json_object_get(json_object_get(plan, "host"), "vm");
}

/* The guest's processor is the host's under KVM. */
static void put_processor(json_t *j)
{
	OWN(mem) char *text = NULL;
	OWN(err) struct err *e = fd_read_file(AT_FDCWD, "/proc/cpuinfo", 1 << 20, &text);
	const char *at = e ? NULL : strstr(text, "model name");
	const char *from = at ? strchr(at, ':') : NULL;
	size_t n = from ? strcspn(from, "\n") : 0;

	if (n > 2)
		json_object_set_new(j, "cpu", json_stringn(from + 2, n - 2));
}

struct err *saved_machine(const json_t *plan, json_t **ret)
{
	const json_t *vm = vm_of(plan);
	const char *accel = jx_str(vm, "accel", "tcg");
	OWN(strv) struct strv argv = { 0 };
	OWN(strv) struct strv devices = { 0 };
	json_t *j;

	TRY(qemu_argv(plan, &argv));
	qemu_devices(&argv, &devices);
	j = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:o}", "machine", jx_str(vm, "machine", "q35"),
		      "accel", accel, "cpu", "max", "vcpus", (json_int_t)jx_int(vm, "vcpus", 1),
		      "memory_bytes", (json_int_t)jx_int(vm, "memory_bytes", 0), "tsc_khz",
		      (json_int_t)jx_int(vm, "tsc_khz", 0), "devices", jx_from_strv(&devices));
	if (streq(accel, "kvm"))
		put_processor(j);
	*ret = j;
	return NULL;
}

static struct err *differs(const char *what, const char *then, const char *now)
{
	return err_new(ERR_UNSUPPORTED, "its state was saved with %s %s, and this start has %s",
		       what, then, now);
}

static struct err *check_text(const json_t *saved, const json_t *now, const char *key,
			      const char *what)
{
	const char *a = jx_str(saved, key, ""), *b = jx_str(now, key, "");

	return streq(a, b) ? NULL : differs(what, a, b);
}

static struct err *check_number(const json_t *saved, const json_t *now, const char *key,
				const char *what, int64_t tolerance)
{
	int64_t a = jx_int(saved, key, 0), b = jx_int(now, key, 0);
	int64_t off = a > b ? a - b : b - a;
	char then[24], here[24];

	if (off <= tolerance)
		return NULL;
	snprintf(then, sizeof(then), "%" PRId64, a);
	snprintf(here, sizeof(here), "%" PRId64, b);
	return differs(what, then, here);
}

static struct err *check_devices(const json_t *saved, const json_t *now)
{
	const json_t *a = json_object_get(saved, "devices"), *b = json_object_get(now, "devices");
	size_t n = json_array_size(a), m = json_array_size(b);

	for (size_t i = 0; i < n || i < m; i++) {
		const char *x = json_string_value(json_array_get(a, i));
		const char *y = json_string_value(json_array_get(b, i));

		if (!x || !y || !streq(x, y))
			return differs("the device", x ? x : "(none)", y ? y : "(none)");
	}
	return NULL;
}

struct err *saved_check(const json_t *saved, const json_t *now)
{
	static const struct {
		const char *key, *what;
	} texts[] = { { "machine", "the machine type" },
		      { "accel", "the accelerator" },
		      { "cpu", "the processor" } };
	int64_t tsc = jx_int(saved, "tsc_khz", 0);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		TRY(check_text(saved, now, texts[i].key, texts[i].what));
	TRY(check_number(saved, now, "vcpus", "a number of processors of", 0));
	TRY(check_number(saved, now, "memory_bytes", "memory in bytes of", 0));
	if (tsc && jx_int(now, "tsc_khz", 0))
		TRY(check_number(saved, now, "tsc_khz", "a TSC rate in kHz of",
				 tsc / TSC_TOLERANCE));
	return check_devices(saved, now);
}

/* ---- bytes as text ---- */

static json_t *hex_json(const void *data, size_t n)
{
	const uint8_t *p = data;
	OWN(str) struct str hex = { 0 };

	for (size_t i = 0; i < n; i++)
		str_addf(&hex, "%02x", p[i]);
	return json_stringn(hex.len ? hex.buf : "", hex.len);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_bytes(const char *hex, struct str *ret)
{
	for (; *hex; hex += 2) {
		int high = digit(hex[0]), low = high < 0 ? -1 : digit(hex[1]);
		uint8_t byte = (uint8_t)(high << 4 | low);

		if (high < 0 || low < 0 || ret->len >= SAVED_PORT_MAX)
			return false;
		str_add(ret, &byte, 1);
	}
	return true;
}

/* ---- the port ---- */

static json_t *pump_json(const struct agent_pump_state *s)
{
	return json_pack("{s:i,s:i,s:b}", "may", (int)s->may, "owed", (int)s->owed, "ended",
			 s->is_ended);
}

static json_t *port_json(const struct saving *s)
{
	const struct saved_state *st = &s->state;
	json_t *execs = json_array();

	for (uint32_t i = 0; i < st->n_execs; i++)
		json_array_append_new(execs, json_integer(st->execs[i]));
	return json_pack("{s:b,s:b,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "tty", st->is_tty, "stdin",
			 st->has_stdin, "last_id", (int)st->last_id, "in", pump_json(&st->in),
			 "out", pump_json(&st->out), "err", pump_json(&st->err), "execs", execs,
			 "unread", hex_json(s->unread, st->n_unread), "unsent",
			 hex_json(s->unsent, st->n_unsent));
}

static struct err *read_pump(const json_t *port, const char *key, struct agent_pump_state *ret)
{
	const json_t *j = json_object_get(port, key);
	int64_t may = jx_int(j, "may", -1), owed = jx_int(j, "owed", 0);

	if (may < 0 || owed < 0 || may > AGENT_WINDOW || owed > AGENT_WINDOW - may)
		return err_new(ERR_CORRUPT, "port.%s", key);
	*ret = (struct agent_pump_state) { .may = (uint32_t)may,
					   .owed = (uint32_t)owed,
					   .is_ended = jx_bool(j, "ended", false) };
	return NULL;
}

static struct err *read_port(const json_t *port, struct saved_state *st, struct str *unread,
			     struct str *unsent)
{
	const json_t *execs = json_object_get(port, "execs");
	int64_t last_id = jx_int(port, "last_id", 0);

	TRY(read_pump(port, "in", &st->in));
	TRY(read_pump(port, "out", &st->out));
	TRY(read_pump(port, "err", &st->err));
	if (!hex_bytes(jx_str(port, "unread", ""), unread) ||
	    !hex_bytes(jx_str(port, "unsent", ""), unsent) ||
	    json_array_size(execs) > SAVED_EXECS || last_id < 0 || last_id > UINT16_MAX)
		return err_new(ERR_CORRUPT, "port");
	st->is_tty = jx_bool(port, "tty", false);
	st->has_stdin = jx_bool(port, "stdin", false);
	st->last_id = (uint32_t)last_id;
	st->n_execs = (uint32_t)json_array_size(execs);
	for (uint32_t i = 0; i < st->n_execs; i++)
		st->execs[i] = (uint16_t)json_integer_value(json_array_get(execs, i));
	st->n_unread = (uint32_t)unread->len;
	st->n_unsent = (uint32_t)unsent->len;
	return NULL;
}

/* ---- reading ---- */

static struct err *read_doc(const json_t *doc, const json_t *plan, struct saved_state *st,
			    struct str *unread, struct str *unsent)
{
	OWN(json) json_t *machine = NULL;

	if (!streq(jx_str(doc, "format", ""), FORMAT))
		return err_new(ERR_CORRUPT, "it is not the state of a VM");
	if (jx_int(doc, "version", 0) != VERSION)
		return err_new(ERR_UNSUPPORTED, "it is of version %lld, and this hostel reads %d",
			       (long long)jx_int(doc, "version", 0), VERSION);
	TRY(saved_machine(plan, &machine));
	TRY(saved_check(json_object_get(doc, "machine"), machine));
	TRY(read_port(json_object_get(doc, "port"), st, unread, unsent));
	st->is_restored = true;
	st->qemu = (uint32_t)jx_int(doc, "qemu", 0);
	st->is_new = !streq(jx_str(doc, "id", ""), jx_str(plan, "id", ""));
	return NULL;
}

struct err *saved_load(const char *dir, const json_t *plan, struct saved_state *ret,
		       struct str *ret_unread, struct str *ret_unsent)
{
	OWN(mem) char *path = xasprintf("%s/" SAVED_JSON, dir);
	OWN(json) json_t *doc = NULL;
	OWN(str) struct str unread = { 0 };
	OWN(str) struct str unsent = { 0 };
	struct saved_state st = { 0 };
	struct err *e = jx_load(AT_FDCWD, path, &doc);

	if (e && err_kind(e) == ERR_INVALID) {
		err_free(e);
		e = err_new(ERR_CORRUPT, "it is damaged");
	}
	if (!e)
		e = read_doc(doc, plan, &st, &unread, &unsent);
	TRY_MSG(e, "%s", path);
	*ret = st;
	*ret_unread = unread;
	*ret_unsent = unsent;
	unread = unsent = (struct str) { 0 };
	return NULL;
}

/* ---- writing ---- */

static struct err *create(int dir_fd, const char *name, int *ret_fd)
{
	*ret_fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? err_sys(errno, "create %s", name) : NULL;
}

static struct err *write_parts(const struct saving *s, const json_t *plan,
			       struct split_counts *counts)
{
	OWN(fd) int stream = -1;
	OWN(fd) int memory = -1;
	struct split parts = { .from = s->from,
			       .block = qemu_ram_block(plan),
			       .block_bytes = (uint64_t)jx_int(vm_of(plan), "memory_bytes", 0) };

	TRY(create(s->dir_fd, SAVED_STREAM, &stream));
	TRY(create(s->dir_fd, SAVED_MEMORY, &memory));
	parts.stream = stream;
	parts.memory = memory;
	return split_stream(&parts, counts);
}

struct err *saved_write(const struct saving *s)
{
	OWN(mem) char *path = xasprintf("%s/plan.json", s->state_dir);
	const struct qemu_facts facts = qemu_facts_of_host(s->state_dir);
	OWN(json) json_t *plan = NULL;
	OWN(json) json_t *doc = NULL;
	json_t *machine = NULL;
	struct split_counts counts;

	TRY(jx_load(AT_FDCWD, path, &plan));
	TRY(qemu_plan_complete(plan, &facts));
	TRY(saved_machine(plan, &machine));
	doc = json_pack("{s:i,s:s,s:s,s:s,s:i,s:o,s:o}", "version", VERSION, "format", FORMAT, "id",
			jx_str(plan, "id", ""), "name", jx_str(plan, "name", ""), "qemu",
			(int)s->state.qemu, "machine", machine, "port", port_json(s));
	TRY(write_parts(s, plan, &counts));
	json_object_set_new(doc, "memory_bytes", json_integer((json_int_t)counts.memory_bytes));
	json_object_set_new(doc, "stream_bytes", json_integer((json_int_t)counts.stream_bytes));
	return jx_save(s->dir_fd, SAVED_JSON, doc, 0600);
}
