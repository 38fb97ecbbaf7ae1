/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/resources.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/mem.h"

#define PERIOD_US      100000
#define PRIORITY_STEPS 20

/* ---- from a spec ---- */

static void set_int(json_t **obj, const char *key, int64_t value)
{
	if (!value)
		return;
	if (!*obj)
		*obj = json_object();
	json_object_set_new(*obj, key, json_integer(value));
}

static void set_obj(json_t *parent, const char *key, json_t *obj)
{
	if (obj)
		json_object_set_new(parent, key, obj);
}

static json_t *memory_json(const struct spec *s)
{
	json_t *m = NULL;
	int64_t swap = s->memory_swap_bytes;

	/* Docker: a limit without one for swap allows as much swap again. */
	if (s->memory_bytes > 0 && swap == 0)
		swap = 2 * s->memory_bytes;
	set_int(&m, "limit", s->memory_bytes);
	set_int(&m, "reservation", s->memory_reservation_bytes);
	set_int(&m, "swap", swap);
	if (s->memory_swappiness >= 0) {
		m = m ? m : json_object();
		json_object_set_new(m, "swappiness", json_integer(s->memory_swappiness));
	}
	if (s->oom_kill_disable) {
		m = m ? m : json_object();
		json_object_set_new(m, "disableOOMKiller", json_true());
	}
	return m;
}

int64_t resources_cpu_shares(const struct spec *s)
{
	int64_t shares = 1024, p = s->priority;

	if (s->cpu_shares || !p)
		return s->cpu_shares;
	for (int n = 0; n < PRIORITY_STEPS && n < p; n++)
		shares = shares * 5 / 4;
	for (int n = 0; n < PRIORITY_STEPS && n < -p; n++)
		shares = shares * 4 / 5;
	return shares;
}

static json_t *cpu_json(const struct spec *s)
{
	int64_t period = s->cpu_period_us, quota = s->cpu_quota_us;
	json_t *c = NULL;

	if (s->cpu_milli) {
		period = PERIOD_US;
		quota = s->cpu_milli * PERIOD_US / 1000;
	}
	set_int(&c, "shares", resources_cpu_shares(s));
	set_int(&c, "quota", quota);
	set_int(&c, "period", period);
	if ((s->cpuset_cpus && *s->cpuset_cpus) || (s->cpuset_mems && *s->cpuset_mems))
		c = c ? c : json_object();
	if (s->cpuset_cpus && *s->cpuset_cpus)
		jx_set_str(c, "cpus", s->cpuset_cpus);
	if (s->cpuset_mems && *s->cpuset_mems)
		jx_set_str(c, "mems", s->cpuset_mems);
	return c;
}

static struct err *add_throttle(const struct spec_throttle *t, json_t *io)
{
	static const char *const keys[] = {
		[IO_READ_BPS] = "throttleReadBpsDevice",
		[IO_WRITE_BPS] = "throttleWriteBpsDevice",
		[IO_READ_IOPS] = "throttleReadIOPSDevice",
		[IO_WRITE_IOPS] = "throttleWriteIOPSDevice",
	};
	json_t *list = json_object_get(io, keys[t->what]);
	struct stat st;

	if (stat(t->device, &st) < 0 || !S_ISBLK(st.st_mode))
		return err_new(ERR_INVALID, "\"%s\" is not a block device of this host", t->device);
	if (!list) {
		json_object_set_new(io, keys[t->what], json_array());
		list = json_object_get(io, keys[t->what]);
	}
	json_array_append_new(list,
			      json_pack("{s:i, s:i, s:I}", "major", (int)major(st.st_rdev), "minor",
					(int)minor(st.st_rdev), "rate", (json_int_t)t->rate));
	return NULL;
}

static struct err *io_json(const struct spec *s, json_t **ret)
{
	OWN(json) json_t *io = NULL;

	set_int(&io, "weight", s->blkio_weight);
	if (s->n_throttles && !io)
		io = json_object();
	for (size_t i = 0; i < s->n_throttles; i++)
		TRY(add_throttle(&s->throttles[i], io));
	*ret = TAKE(io);
	return NULL;
}

struct err *resources_from_spec(const struct spec *s, json_t **ret)
{
	OWN(json) json_t *r = json_object();
	json_t *io = NULL;

	set_obj(r, "memory", memory_json(s));
	set_obj(r, "cpu", cpu_json(s));
	TRY(io_json(s, &io));
	set_obj(r, "blockIO", io);
	if (s->pids_limit > 0)
		json_object_set_new(r, "pids",
				    json_pack("{s:I}", "limit", (json_int_t)s->pids_limit));
	*ret = TAKE(r);
	return NULL;
}

/* ---- to the kernel ---- */

static struct err *read_device(const json_t *j, struct cgroup_device *d)
{
	const char *type = jx_str(j, "type", "a"), *access = jx_str(j, "access", "rwm");

	if (!strchr("abcup", type[0]) || strlen(type) != 1 || strlen(access) > 3)
		return err_new(ERR_INVALID, "device rule of type %s, access %s", type, access);
	d->allow = jx_bool(j, "allow", false);
	d->type = type[0] == 'u' ? 'c' : type[0];
	d->major = jx_int(j, "major", -1);
	d->minor = jx_int(j, "minor", -1);
	strcpy(d->access, access);
	return NULL;
}

static struct err *read_devices(const json_t *list, struct resources *r)
{
	size_t n = json_array_size(list);

	r->devices = xcalloc(n + 1, sizeof(*r->devices));
	for (size_t i = 0; i < n; i++)
		TRY(read_device(json_array_get(list, i), &r->devices[i]));
	r->l.devices = r->devices;
	r->l.n_devices = n;
	return NULL;
}

static void read_throttles(const json_t *io, struct resources *r)
{
	static const char *const keys[] = {
		[CGROUP_READ_BPS] = "throttleReadBpsDevice",
		[CGROUP_WRITE_BPS] = "throttleWriteBpsDevice",
		[CGROUP_READ_IOPS] = "throttleReadIOPSDevice",
		[CGROUP_WRITE_IOPS] = "throttleWriteIOPSDevice",
	};
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		const json_t *list = json_object_get(io, keys[k]);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *j = json_array_get(list, i);

			r->throttles = xrealloc(r->throttles, n + 1, sizeof(*r->throttles));
			r->throttles[n++] = (struct cgroup_throttle) {
				.what = (enum cgroup_io)k,
				.major = (unsigned)jx_int(j, "major", 0),
				.minor = (unsigned)jx_int(j, "minor", 0),
				.rate = (uint64_t)jx_int(j, "rate", 0),
			};
		}
	}
	r->l.throttles = r->throttles;
	r->l.n_throttles = n;
}

static void read_weights(const json_t *io, struct resources *r)
{
	const json_t *list = json_object_get(io, "weightDevice");
	size_t n = json_array_size(list);

	r->weights = xcalloc(n + 1, sizeof(*r->weights));
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);

		r->weights[i] = (struct cgroup_weight) {
			.major = (unsigned)jx_int(j, "major", 0),
			.minor = (unsigned)jx_int(j, "minor", 0),
			.weight = (unsigned)jx_int(j, "weight", 0),
		};
	}
	r->l.weights = r->weights;
	r->l.n_weights = n;
}

struct err *resources_read(const json_t *j, struct resources *ret)
{
	const json_t *memory = json_object_get(j, "memory");
	const json_t *cpu = json_object_get(j, "cpu");
	const json_t *io = json_object_get(j, "blockIO");

	*ret = (struct resources){
		.l = {
			.memory = jx_int(memory, "limit", 0),
			.memory_swap = jx_int(memory, "swap", 0),
			.memory_reservation = jx_int(memory, "reservation", 0),
			.swappiness = jx_int(memory, "swappiness", -1),
			.oom_kill_disable = jx_bool(memory, "disableOOMKiller", false),
			.cpu_shares = jx_int(cpu, "shares", 0),
			.cpu_quota_us = jx_int(cpu, "quota", 0),
			.cpu_period_us = jx_int(cpu, "period", 0),
			.cpuset_cpus = jx_str(cpu, "cpus", NULL),
			.cpuset_mems = jx_str(cpu, "mems", NULL),
			.pids = jx_int(json_object_get(j, "pids"), "limit", 0),
			.blkio_weight = jx_int(io, "weight", 0),
		},
	};
	read_throttles(io, ret);
	read_weights(io, ret);
	return read_devices(json_object_get(j, "devices"), ret);
}

void resources_done(struct resources *r)
{
	free(r->devices);
	free(r->throttles);
	free(r->weights);
	*r = (struct resources) { .l = CGROUP_LIMITS_NONE };
}
