/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "ctr/plan_int.h"
#include "sys/caps.h"
#include "util/mem.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INIT_INSIDE  "/sbin/docker-init"

/* What Docker gives a container that asks for nothing. */
static const char *const default_caps[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

static struct err *cap_set(const struct strv *names, uint64_t *ret_set, bool *ret_all)
{
	for (size_t i = 0; i < names->n; i++) {
		int cap = caps_parse(names->v[i]);

		if (!strcasecmp(names->v[i], "ALL"))
			*ret_all = true;
		else if (cap < 0)
			return err_new(ERR_INVALID, "unknown capability: \"%s\"", names->v[i]);
		else
			*ret_set |= UINT64_C(1) << cap;
	}
	return NULL;
}

static uint64_t default_set(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(default_caps); i++)
		set |= UINT64_C(1) << caps_parse(default_caps[i]);
	return set;
}

static struct err *spec_caps(const struct spec *s, bool privileged, uint64_t *ret)
{
	uint64_t add = 0, drop = 0;
	bool add_all = false, drop_all = false;

	TRY(cap_set(&s->cap_add, &add, &add_all));
	TRY(cap_set(&s->cap_drop, &drop, &drop_all));
	if (privileged)
		*ret = CAPS_ALL;
	else if (add_all)
		*ret = drop_all ? CAPS_ALL : CAPS_ALL & ~drop;
	else
		*ret = ((drop_all ? 0 : default_set()) & ~drop) | add;
	return NULL;
}

static void names_of(uint64_t set, struct strv *ret)
{
	for (int i = 0; i < CAPS_COUNT; i++)
		if (set & UINT64_C(1) << i)
			strv_add(ret, caps_name(i));
}

struct err *ctr_plan_caps(const struct spec *s, struct strv *ret)
{
	uint64_t set = 0;

	TRY(spec_caps(s, s->privileged, &set));
	names_of(set, ret);
	return NULL;
}

static struct err *caps_json(const struct spec *s, bool privileged, json_t **ret)
{
	OWN(strv) struct strv names = { 0 };
	uint64_t set = 0;

	TRY(spec_caps(s, privileged, &set));
	names_of(set, &names);
	*ret = json_pack("{s:o, s:o, s:o}", "bounding", jx_from_strv(&names), "effective",
			 jx_from_strv(&names), "permitted", jx_from_strv(&names));
	return NULL;
}

/* Set "K=V" in the list; "K" alone removes it. */
static void env_set(struct strv *env, const char *assignment)
{
	size_t n = strcspn(assignment, "=");

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->v[i], assignment, n) || env->v[i][n] != '=')
			continue;
		if (assignment[n]) {
			str_set(&env->v[i], assignment);
			return;
		}
		free(env->v[i]);
		memmove(&env->v[i], &env->v[i + 1], (env->n - i) * sizeof(env->v[0]));
		env->n--;
		return;
	}
	if (assignment[n])
		strv_add(env, assignment);
}

static void env_merge(struct strv *env, const struct strv *more)
{
	for (size_t i = 0; more && i < more->n; i++)
		env_set(env, more->v[i]);
}

/* HOME comes from the instance's user database: whoever starts the process adds it. */
static void spec_env(const struct spec *s, const struct guest_facts *in, bool tty, struct strv *env)
{
	const char *hostname = in->hostname ? in->hostname : s->hostname;

	strv_add(env, "PATH=" DEFAULT_PATH);
	if (hostname && *hostname)
		strv_addf(env, "HOSTNAME=%s", hostname);
	else if (in->id)
		strv_addf(env, "HOSTNAME=%.12s", in->id);
	if (tty)
		strv_add(env, "TERM=xterm");
	env_merge(env, &s->env);
}

static struct err *rlimits_json(const struct spec *s, json_t **ret)
{
	OWN(json) json_t *a = json_array();

	for (size_t i = 0; i < s->n_ulimits; i++) {
		const struct spec_ulimit *u = &s->ulimits[i];
		OWN(mem) char *type = xasprintf("RLIMIT_%s", u->name);

		for (char *p = type; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		/* JSON has no number for "unlimited"; the largest we can write stands for it. */
		json_array_append_new(
		    a, json_pack("{s:s, s:I, s:I}", "type", type, "soft",
				 (json_int_t)(u->soft < 0 ? INT64_MAX : u->soft), "hard",
				 (json_int_t)(u->hard < 0 ? INT64_MAX : u->hard)));
	}
	*ret = TAKE(a);
	return NULL;
}

static bool no_new_privileges(const struct spec *s)
{
	const char *v = plan_security_opt(s, "no-new-privileges");

	return v && strcmp(v, "false") != 0;
}

/* The members that a start and an exec have in common; consumes nothing. */
static struct err *process_common(const struct spec *s, bool privileged, bool tty, const char *cwd,
				  json_t **ret)
{
	OWN(json) json_t *caps = NULL;
	OWN(json) json_t *rlimits = NULL;

	TRY(caps_json(s, privileged, &caps));
	TRY(rlimits_json(s, &rlimits));
	*ret = json_pack("{s:b, s:s, s:O, s:O, s:b, s:i}", "terminal", tty, "cwd",
			 cwd && *cwd ? cwd : "/", "capabilities", caps, "rlimits", rlimits,
			 "noNewPrivileges", no_new_privileges(s), "oomScoreAdj", s->oom_score_adj);
	return NULL;
}

struct err *plan_process(const struct spec *s, const struct guest_facts *in, json_t **ret)
{
	OWN(json) json_t *p = NULL;
	OWN(strv) struct strv args = { 0 };
	OWN(strv) struct strv env = { 0 };

	if (s->init && in->init) {
		strv_add(&args, INIT_INSIDE);
		strv_add(&args, "--");
	}
	strv_copy(&args, &s->entrypoint);
	strv_copy(&args, &s->cmd);
	if (!s->entrypoint.n && !s->cmd.n)
		return err_new(ERR_INVALID, "no command specified");
	spec_env(s, in, s->tty, &env);
	TRY(process_common(s, s->privileged, s->tty, s->workdir, &p));
	json_object_set_new(p, "args", jx_from_strv(&args));
	json_object_set_new(p, "env", jx_from_strv(&env));
	*ret = TAKE(p);
	return NULL;
}

struct err *ctr_plan_process(const struct spec *s, const struct guest_facts *in,
			     const struct guest_exec *x, json_t **ret)
{
	OWN(json) json_t *p = NULL;
	OWN(strv) struct strv env = { 0 };
	bool has_dir = x->workdir && *x->workdir, has_user = x->user && *x->user;

	if (!x->cmd || !x->cmd->n)
		return err_new(ERR_INVALID, "No exec command specified");
	spec_env(s, in, x->tty, &env);
	env_merge(&env, x->env);
	TRY(process_common(s, s->privileged || x->privileged, x->tty,
			   has_dir ? x->workdir : s->workdir, &p));
	json_object_set_new(p, "args", jx_from_strv(x->cmd));
	json_object_set_new(p, "env", jx_from_strv(&env));
	json_object_set_new(p, "user", jx_string(has_user ? x->user : s->user ? s->user : ""));
	json_object_set_new(p, "groups", jx_from_strv(&s->group_add));
	*ret = TAKE(p);
	return NULL;
}
