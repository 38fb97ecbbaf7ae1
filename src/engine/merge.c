/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/merge.h"

#include <string.h>

#include "util/mem.h"

bool env_has(const struct strv *env, const char *line)
{
	size_t key = strcspn(line, "=");

	for (size_t i = 0; i < env->n; i++)
		if (strcspn(env->v[i], "=") == key && !strncmp(env->v[i], line, key))
			return true;
	return false;
}

static void merge_env(struct strv *env, const json_t *image)
{
	OWN(strv) struct strv from = { 0 };

	jx_strv(image, "Env", &from);
	for (size_t i = 0; i < from.n; i++)
		if (!env_has(env, from.v[i]))
			strv_add(env, from.v[i]);
}

/* Members of the form {"80/tcp":{},…}. */
static void merge_keys(struct strv *l, const json_t *image, const char *member)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(image, member), key, value) if (!strv_has(l, key))
	    strv_add(l, key);
}

static void merge_labels(struct strmap *m, const json_t *image)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(image, "Labels"), key, value) if (!strmap_get(m, key))
	    strmap_set(m, key, json_is_string(value) ? json_string_value(value) : "");
}

static void merge_text(char **slot, const json_t *image, const char *member)
{
	const char *value = jx_str(image, member, "");

	if ((!*slot || !**slot) && *value)
		str_set(slot, value);
}

/* An entrypoint of the user's own drops the image's command; [""] drops both. */
static void merge_command(struct spec *s, const json_t *image)
{
	bool is_reset = s->entrypoint.n == 1 && !*s->entrypoint.v[0];

	if (is_reset)
		strv_done(&s->entrypoint);
	else if (!s->entrypoint.n) {
		if (!s->cmd.n)
			jx_strv(image, "Cmd", &s->cmd);
		jx_strv(image, "Entrypoint", &s->entrypoint);
	}
}

static bool is_said(const json_t *value)
{
	return json_integer_value(value) || json_array_size(value);
}

/* Member by member: a user may change the interval alone. */
static void merge_health(struct spec *s, const json_t *image)
{
	json_t *merged, *value;
	const char *key;

	if (!json_is_object(image))
		return;
	merged = json_copy((json_t *)(uintptr_t)image);
	json_object_foreach(s->healthcheck, key, value)
	{
		if (is_said(value))
			json_object_set(merged, key, value);
	}
	json_decref(s->healthcheck);
	s->healthcheck = merged;
}

struct err *merge_image(struct spec *s, const json_t *config)
{
	const json_t *image = json_object_get(config, "config");
	json_t *health = json_object_get(image, "Healthcheck");

	merge_command(s, image);
	merge_env(&s->env, image);
	merge_keys(&s->volumes, image, "Volumes");
	merge_keys(&s->exposed, image, "ExposedPorts");
	merge_labels(&s->labels, image);
	merge_text(&s->user, image, "User");
	merge_text(&s->workdir, image, "WorkingDir");
	merge_text(&s->stop_signal, image, "StopSignal");
	merge_health(s, health);
	if (!s->entrypoint.n && !s->cmd.n)
		return err_new(ERR_INVALID, "no command specified");
	return NULL;
}
