/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <strings.h>

#include "oci/image.h"
#include "util/mem.h"

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/*
 * The next word of a line: quotes group, a backslash takes the next character as it is.
 * Return: where to go on; NULL for a quote that is not closed.
 */
static const char *next_word(const char *p, struct str *ret)
{
	char quote = '\0';

	str_adds(ret, "");
	for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (*p == quote) {
			quote = '\0';
		} else if (!quote && (*p == '"' || *p == '\'')) {
			quote = *p;
		} else {
			if (*p == '\\' && p[1] && quote != '\'')
				p++;
			str_add(ret, p, 1);
		}
	}
	return quote ? NULL : skip_space(p);
}

static struct err *words(const char *args, struct strv *ret)
{
	for (const char *p = args; *p;) {
		OWN(str) struct str word = { 0 };

		p = next_word(p, &word);
		if (!p)
			return err_new(ERR_INVALID, "a quote is not closed: %s", args);
		strv_add(ret, word.buf);
	}
	return NULL;
}

/* ["a","b"] is taken as it is, anything else is a line for a shell. */
static json_t *exec_or_shell(const char *args)
{
	json_t *a = NULL;
	OWN(err) struct err *e = *args == '[' ? jx_parse(args, strlen(args), &a) : NULL;

	if (!e && json_is_array(a)) {
		size_t strings = 0;

		for (size_t i = 0; i < json_array_size(a); i++)
			strings += json_is_string(json_array_get(a, i)) ? 1 : 0;
		if (strings == json_array_size(a))
			return a;
	}
	json_decref(a);
	return json_pack("[s, s, o]", "/bin/sh", "-c", jx_string(args));
}

static struct err *set_argv(json_t *config, const char *member, const char *args)
{
	json_object_set_new(config, member, exec_or_shell(args));
	return NULL;
}

static struct err *set_text(json_t *config, const char *member, const char *args)
{
	jx_set_str(config, member, args);
	return NULL;
}

static struct err *split_pair(const char *word, char **ret_key, const char **ret_value)
{
	const char *eq = strchr(word, '=');

	if (!eq || eq == word)
		return err_new(ERR_INVALID, "expected name=value, got %s", word);
	*ret_key = xstrndup(word, (size_t)(eq - word));
	*ret_value = eq + 1;
	return NULL;
}

static json_t *member_of(json_t *config, const char *member, json_t *fresh)
{
	json_t *old = json_object_get(config, member);

	if (json_typeof(fresh) == (old ? json_typeof(old) : JSON_NULL)) {
		json_decref(fresh);
		return old;
	}
	json_object_set_new(config, member, fresh);
	return fresh;
}

static void env_set(json_t *env, const char *key, const char *value)
{
	OWN(mem) char *pair = xasprintf("%s=%s", key, value);
	size_t n = strlen(key);

	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *old = json_string_value(json_array_get(env, i));

		if (old && !strncmp(old, key, n) && old[n] == '=') {
			json_array_set_new(env, i, jx_string(pair));
			return;
		}
	}
	json_array_append_new(env, jx_string(pair));
}

/* "a=b c=d", or the old "a rest of the line" */
static struct err *set_pairs(json_t *config, const char *member, const char *args)
{
	bool is_env = streq(member, "Env");
	json_t *to = member_of(config, member, is_env ? json_array() : json_object());
	OWN(strv) struct strv list = { 0 };

	TRY(words(args, &list));
	if (list.n > 1 && !strchr(list.v[0], '=')) {
		OWN(mem)
		char *pair = xasprintf("%s=%s", list.v[0], skip_space(args + strlen(list.v[0])));

		strv_done(&list);
		strv_add(&list, pair);
	}
	for (size_t i = 0; i < list.n; i++) {
		OWN(mem) char *key = NULL;
		const char *value = "";

		TRY(split_pair(list.v[i], &key, &value));
		if (is_env)
			env_set(to, key, value);
		else
			jx_set_str(to, key, value);
	}
	return NULL;
}

static struct err *add_port(json_t *ports, const char *port)
{
	OWN(mem) char *full = strchr(port, '/') ? xstrdup(port) : xasprintf("%s/tcp", port);

	if (!isdigit((unsigned char)*full))
		return err_new(ERR_INVALID, "invalid containerPort: %s", port);
	json_object_set_new(ports, full, json_object());
	return NULL;
}

static struct err *add_keys(json_t *config, const char *member, const char *args)
{
	json_t *to = member_of(config, member, json_object());
	OWN(strv) struct strv list = { 0 };
	json_t *a = NULL;

	if (*args == '[') {
		TRY(jx_parse(args, strlen(args), &a));
		OWN(json) json_t *wrap = json_pack("{s: o}", "a", a);

		jx_strv(wrap, "a", &list);
	} else {
		TRY(words(args, &list));
	}
	for (size_t i = 0; i < list.n; i++) {
		if (streq(member, "ExposedPorts"))
			TRY(add_port(to, list.v[i]));
		else
			json_object_set_new(to, list.v[i], json_object());
	}
	return NULL;
}

static struct err *add_trigger(json_t *config, const char *member, const char *args)
{
	json_array_append_new(member_of(config, member, json_array()), jx_string(args));
	return NULL;
}

struct err *oci_change_apply(json_t *config, const char *instruction)
{
	static const struct {
		const char *word, *member;
		struct err *(*apply)(json_t *config, const char *member, const char *args);
	} table[] = {
		{ "CMD", "Cmd", set_argv },
		{ "ENTRYPOINT", "Entrypoint", set_argv },
		{ "ENV", "Env", set_pairs },
		{ "LABEL", "Labels", set_pairs },
		{ "EXPOSE", "ExposedPorts", add_keys },
		{ "VOLUME", "Volumes", add_keys },
		{ "USER", "User", set_text },
		{ "WORKDIR", "WorkingDir", set_text },
		{ "STOPSIGNAL", "StopSignal", set_text },
		{ "ONBUILD", "OnBuild", add_trigger },
	};
	const char *p = skip_space(instruction);
	size_t n = strcspn(p, " \t");
	const char *args = skip_space(p + n);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strlen(table[i].word) != n || strncasecmp(table[i].word, p, n))
			continue;
		if (!*args)
			return err_new(ERR_INVALID, "%s requires at least one argument",
				       table[i].word);
		TRY_MSG(table[i].apply(config, table[i].member, args), "%s", table[i].word);
		return NULL;
	}
	return err_new(ERR_INVALID, "%.*s is not a valid change command", (int)n, p);
}
