/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "util/mem.h"
#include "util/num.h"

#define SECOND_NS 1000000000LL

void docker_duration(int64_t ns, struct str *out)
{
	int64_t seconds = ns / SECOND_NS, minutes = seconds / 60, hours = (seconds + 1800) / 3600;
	const struct {
		bool fits;
		int64_t n;
		const char *text;
	} forms[] = {
		{ seconds < 1, 0, "Less than a second" },
		{ seconds == 1, 0, "1 second" },
		{ seconds < 60, seconds, "seconds" },
		{ minutes == 1, 0, "About a minute" },
		{ minutes < 60, minutes, "minutes" },
		{ hours == 1, 0, "About an hour" },
		{ hours < 48, hours, "hours" },
		{ hours < 24 * 7 * 2, hours / 24, "days" },
		{ hours < 24 * 30 * 2, hours / 24 / 7, "weeks" },
		{ hours < 24 * 365 * 2, hours / 24 / 30, "months" },
		{ true, hours / 24 / 365, "years" },
	};
	size_t i = 0;

	while (!forms[i].fits)
		i++;
	if (forms[i].n)
		str_addf(out, "%" PRId64 " %s", forms[i].n, forms[i].text);
	else
		str_adds(out, forms[i].text);
}

static bool is_alive(const struct instance_view *v)
{
	return v->state == INST_RUNNING || v->state == INST_STOPPING;
}

static bool is_waiting(const struct instance_view *v)
{
	return (v->state == INST_QUEUED || v->state == INST_REQUEUED) && v->queue_reason;
}

const char *docker_state(const struct instance_view *v)
{
	if (v->is_restarting)
		return "restarting";
	if (is_alive(v))
		return v->is_paused ? "paused" : "running";
	return v->ever_ran ? "exited" : "created";
}

void docker_status(const struct instance_view *v, int64_t now_ns, struct str *out)
{
	if (is_alive(v)) {
		str_adds(out, "Up ");
		docker_duration(now_ns - v->started_ns, out);
		if (v->is_paused)
			str_adds(out, " (Paused)");
		else if (v->health)
			str_addf(out, " (%s%s)", v->health == HEALTH_STARTING ? "health: " : "",
				 health_name(v->health));
	} else if (is_waiting(v) && !v->is_restarting) {
		str_addf(out, "Queued (%s)", v->queue_reason);
	} else if (v->ever_ran) {
		str_addf(out, "%s (%d) ", v->is_restarting ? "Restarting" : "Exited", v->exit_code);
		docker_duration(now_ns - v->finished_ns, out);
		str_adds(out, " ago");
	} else {
		str_adds(out, "Created");
	}
}

/* "1700000000.000000005" */
static bool read_unix(const char *text, int64_t *ret_ns)
{
	size_t whole = strspn(text, "0123456789");
	const char *fraction = text + whole + (text[whole] == '.');
	size_t digits = strspn(fraction, "0123456789");
	int64_t ns = 0, seconds = 0;

	if (!whole || whole > 11 || fraction[digits] || (text[whole] && text[whole] != '.'))
		return false;
	for (size_t i = 0; i < whole; i++)
		seconds = seconds * 10 + (text[i] - '0');
	for (size_t i = 0; i < 9; i++)
		ns = ns * 10 + (i < digits ? fraction[i] - '0' : 0);
	return !__builtin_mul_overflow(seconds, SECOND_NS, ret_ns) &&
	       !__builtin_add_overflow(*ret_ns, ns, ret_ns);
}

/* "Z", "+02:00", or nothing, which is UTC here. */
static bool read_zone(const char *text, int64_t *ret_seconds)
{
	int hours, minutes, len = 0;
	char sign;

	*ret_seconds = 0;
	if (!*text || streq(text, "Z"))
		return true;
	if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &len) != 3 || text[len] ||
	    !strchr("+-", sign))
		return false;
	*ret_seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static bool read_rfc3339(const char *text, int64_t *ret_ns)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { 0 };
		const char *rest = strptime(text, forms[i], &tm);
		int64_t zone, ns = 0;

		if (!rest)
			continue;
		if (*rest == '.')
			for (int k = 0, more = 1; k < 9; k++) {
				more = more && isdigit((unsigned char)rest[1]);
				ns = ns * 10 + (more ? *++rest - '0' : 0);
			}
		rest += *rest && !isdigit((unsigned char)*rest) ? 0 : (*rest != '\0');
		rest += strspn(rest, "0123456789");
		if (!read_zone(rest, &zone))
			return false;
		*ret_ns = ((int64_t)timegm(&tm) - zone) * SECOND_NS + ns;
		return true;
	}
	return false;
}

struct err *docker_time_read(const char *text, int64_t now_ns, int64_t *ret_ns)
{
	int64_t back;

	if (read_unix(text, ret_ns) || read_rfc3339(text, ret_ns))
		return NULL;
	TRY_MSG(num_parse_duration(text, &back), "invalid time \"%s\"", text);
	*ret_ns = now_ns - back;
	return NULL;
}

bool docker_bool(const char *text)
{
	static const char *const no[] = { "", "0", "no", "false", "none" };

	for (size_t i = 0; text && i < ARRAY_SIZE(no); i++)
		if (!strcasecmp(text, no[i]))
			return false;
	return text != NULL;
}

/* ---- filters ---- */

static void add_filter(struct docker_filters *f, const char *key, const char *value)
{
	strv_add(&f->keys, key);
	strv_add(&f->values, value);
}

static struct err *read_values(struct docker_filters *f, const char *key, const json_t *values)
{
	const char *value;
	json_t *v;

	if (json_is_array(values)) {
		for (size_t i = 0; i < json_array_size(values); i++) {
			const char *s = json_string_value(json_array_get(values, i));

			if (!s)
				return err_new(ERR_INVALID, "invalid filter");
			add_filter(f, key, s);
		}
		return NULL;
	}
	if (!json_is_object(values))
		return err_new(ERR_INVALID, "invalid filter");
	json_object_foreach((json_t *)(uintptr_t)values, value, v) if (json_is_true(v))
	    add_filter(f, key, value);
	return NULL;
}

struct err *docker_filters_read(const char *text, const char *const *allowed,
				struct docker_filters *ret)
{
	OWN(json) json_t *j = NULL;
	OWN(filters) struct docker_filters f = { 0 };
	const char *key;
	json_t *v;

	if (!text || !*text)
		return NULL;
	TRY_MSG(jx_parse(text, strlen(text), &j), "invalid filter");
	if (!json_is_object(j))
		return err_new(ERR_INVALID, "invalid filter");
	json_object_foreach(j, key, v)
	{
		size_t i = 0;

		while (allowed[i] && strcmp(allowed[i], key))
			i++;
		if (!allowed[i])
			return err_new(ERR_INVALID, "invalid filter '%s'", key);
		TRY(read_values(&f, key, v));
	}
	*ret = f;
	f = (struct docker_filters) { 0 };
	return NULL;
}

void docker_filters_done(struct docker_filters *f)
{
	strv_done(&f->keys);
	strv_done(&f->values);
}

const char *docker_filter_first(const struct docker_filters *f, const char *key)
{
	for (size_t i = 0; i < f->keys.n; i++)
		if (streq(f->keys.v[i], key))
			return f->values.v[i];
	return NULL;
}

bool docker_filter_match(const struct docker_filters *f, const char *key,
			 bool (*fn)(const void *thing, const char *value), const void *thing)
{
	bool any = false;

	for (size_t i = 0; i < f->keys.n; i++) {
		if (strcmp(f->keys.v[i], key))
			continue;
		any = true;
		if (fn(thing, f->values.v[i]))
			return true;
	}
	return !any;
}

static bool is_same(const void *thing, const char *value)
{
	return streq(thing, value);
}

bool docker_filter_exact(const struct docker_filters *f, const char *key, const char *value)
{
	return docker_filter_match(f, key, is_same, value);
}

/* @want: "key" or "key=value" */
static bool has_label(const struct strmap *labels, const char *want)
{
	OWN(mem) char *key = xstrndup(want, strcspn(want, "="));
	const char *value = strmap_get(labels, key);

	return value && (!want[strlen(key)] || streq(value, want + strlen(key) + 1));
}

bool docker_filter_labels(const struct docker_filters *f, const struct strmap *labels)
{
	for (size_t i = 0; i < f->keys.n; i++) {
		bool wanted = streq(f->keys.v[i], "label");

		if (!wanted && strcmp(f->keys.v[i], "label!"))
			continue;
		if (has_label(labels, f->values.v[i]) != wanted)
			return false;
	}
	return true;
}

/* ---- progress ---- */

/* Four digits and a decimal unit, as docker's pull shows sizes. */
static void add_size(int64_t bytes, struct str *out)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 1000 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1000;
	str_addf(out, "%.4g%s", n, units[i]);
}

void docker_progress(int64_t current, int64_t total, struct str *out)
{
	int filled = total > 0 && current <= total ? (int)(current * 50 / total) : 50;

	if (total > 0) {
		str_adds(out, "[");
		for (int i = 0; i < 50; i++)
			str_adds(out, i < filled ? "=" : i == filled ? ">" : " ");
		str_adds(out, "]  ");
	}
	add_size(current, out);
	if (total > 0) {
		str_adds(out, "/");
		add_size(total, out);
	}
}
