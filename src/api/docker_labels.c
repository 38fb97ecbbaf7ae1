/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_spec.h"

#include <strings.h>

#include "util/mem.h"
#include "util/num.h"

/* "100mbit": decimal powers, in bits per second. */
static struct err *read_rate(const char *text, size_t len, int64_t *ret)
{
	static const struct {
		const char *suffix;
		int64_t factor;
	} units[] = { { "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 }, { "bit", 1 } };
	OWN(mem) char *number = xstrndup(text, len);
	int64_t milli, factor = 1;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].suffix);

		if (len < n || strcasecmp(number + len - n, units[i].suffix))
			continue;
		number[len - n] = '\0';
		factor = units[i].factor;
		break;
	}
	TRY(num_parse_milli(number, &milli));
	if (__builtin_mul_overflow(milli, factor, ret))
		return err_new(ERR_INVALID, "rate \"%s\" is too large", text);
	*ret /= 1000;
	return *ret >= 0 ? NULL : err_new(ERR_INVALID, "rate \"%s\" is negative", text);
}

struct err *docker_net_rate_read(const char *text, int64_t *ret_egress, int64_t *ret_ingress)
{
	size_t len = strcspn(text, ",");
	int64_t egress, ingress;

	TRY(read_rate(text, len, &egress));
	ingress = egress;
	if (text[len])
		TRY(read_rate(text + len + 1, strlen(text + len + 1), &ingress));
	*ret_egress = egress;
	*ret_ingress = ingress;
	return NULL;
}

static struct err *read_queue(const char *value, struct spec *s)
{
	s->queue_wait = streq(value, "wait");
	return s->queue_wait || streq(value, "hold")
		   ? NULL
		   : err_new(ERR_INVALID, "expected wait or hold, got \"%s\"", value);
}

static struct err *read_net_rate(const char *value, struct spec *s)
{
	return docker_net_rate_read(value, &s->net_egress_bps, &s->net_ingress_bps);
}

static struct err *read_priority(const char *value, struct spec *s)
{
	return num_parse_i64(value, -1000000, 1000000, &s->priority);
}

static struct err *read_expect(const char *value, struct spec *s)
{
	return num_parse_duration(value, &s->expect_ns);
}

static struct err *read_time_limit(const char *value, struct spec *s)
{
	return num_parse_duration(value, &s->time_limit_ns);
}

static struct err *read_max_wait(const char *value, struct spec *s)
{
	return num_parse_duration(value, &s->max_wait_ns);
}

static struct err *read_deadline(const char *value, struct spec *s)
{
	int64_t at;

	str_set(&s->deadline, value);
	return spec_deadline(value, 0, &at);
}

/* Who says so means to wait. */
static struct err *read_after(const char *value, struct spec *s)
{
	s->queue_wait = true;
	while (*value) {
		size_t len = strcspn(value, ",");

		strv_addf(&s->after, "%.*s", (int)len, value);
		value += len + (value[len] == ',');
	}
	return NULL;
}

static struct err *read_wait_timeout(const char *value, struct spec *s)
{
	return num_parse_duration(value, &s->wait_timeout_ns);
}

static struct err *read_no_wait(const char *value, struct spec *s)
{
	s->no_wait = !streq(value, "false") && !streq(value, "0");
	return NULL;
}

static struct err *read_vcpus(const char *value, struct spec *s)
{
	int64_t n = 0;

	TRY(num_parse_i64(value, 1, 1024, &n));
	s->vcpus = (int)n;
	return NULL;
}

static struct err *read_accel(const char *value, struct spec *s)
{
	str_set(&s->accel, value);
	return streq(value, "kvm") || streq(value, "tcg")
		   ? NULL
		   : err_new(ERR_INVALID, "expected kvm or tcg, got \"%s\"", value);
}

static struct err *read_machine(const char *value, struct spec *s)
{
	str_set(&s->machine_type, value);
	return streq(value, "q35") || streq(value, "microvm")
		   ? NULL
		   : err_new(ERR_INVALID, "expected q35 or microvm, got \"%s\"", value);
}

static struct err *read_uid(const char *value, struct spec *s)
{
	return num_parse_i64(value, 0, UINT32_MAX - 1, &s->uid);
}

static const struct {
	const char *label;
	struct err *(*read)(const char *value, struct spec *s);
} labels[] = {
	{ "hostel.after", read_after },
	{ "hostel.queue", read_queue },
	{ "hostel.net-rate", read_net_rate },
	{ "hostel.priority", read_priority },
	{ "hostel.expect", read_expect },
	{ "hostel.deadline", read_deadline },
	{ "hostel.time-limit", read_time_limit },
	{ "hostel.max-wait", read_max_wait },
	{ "hostel.wait-timeout", read_wait_timeout },
	{ "hostel.no-wait", read_no_wait },
	{ "hostel.vcpus", read_vcpus },
	{ "hostel.accel", read_accel },
	{ "hostel.machine", read_machine },
	{ "hostel.uid", read_uid },
};

struct err *docker_labels_read(struct spec *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		const char *value = strmap_get(&s->labels, labels[i].label);

		if (value)
			TRY_MSG(labels[i].read(value, s), "label %s", labels[i].label);
	}
	return NULL;
}
