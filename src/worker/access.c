/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/access.h"

#include "util/mem.h"

static bool lists(const json_t *config, const char *key, const char *domain)
{
	OWN(strv) struct strv names = { 0 };

	jx_strv(config, key, &names);
	return strv_has(&names, domain);
}

/* HOST:PORT of the mirror that stands for a registry, or the registry itself. */
static char *asked_host(const json_t *config, const char *domain)
{
	const char *mirror = jx_str(json_object_get(config, "mirrors"), domain, NULL);
	const char *at = mirror ? strstr(mirror, "://") : NULL, *host = at ? at + 3 : mirror;

	return host ? xstrndup(host, strcspn(host, "/")) : xstrdup(domain);
}

void job_registry_options(const struct job *j, const char *domain, struct job_registry *own,
			  struct registry_options *ret)
{
	const json_t *auth = json_object_get(j->args, "auth");
	const json_t *config = json_object_get(j->args, "registry_config");

	OWN(mem) char *host = asked_host(config, domain);

	jx_strv(config, "certs", &own->certs);
	*ret = (struct registry_options) {
		.domain = domain,
		.path = "",
		.mirror = jx_str(json_object_get(config, "mirrors"), domain, NULL),
		.plain_http =
		    jx_bool(j->args, "plain_http", false) || lists(config, "plain_http", domain),
		.insecure = lists(config, "insecure", host),
		.username = jx_str(auth, "username", NULL),
		.password = jx_str(auth, "password", NULL),
		.identity_token = jx_str(auth, "identitytoken", NULL),
		.registry_token = jx_str(auth, "registrytoken", NULL),
		.ca_file = jx_str(config, "ca_file", NULL),
		.certs = &own->certs,
		.stall_timeout_s = (int)jx_int(config, "stall_timeout_s", 0),
		.tries = (int)jx_int(config, "tries", 0),
		.parallel = (int)jx_int(config, "parallel", 0),
	};
}

struct err *job_login(struct job *j, json_t **ret_done)
{
	OWN(job_registry) struct job_registry own = { 0 };
	struct registry_options o = { 0 };
	const char *domain;

	(void)ret_done;
	TRY(job_arg(j, "registry", &domain));
	if (strpbrk(domain, "/@?#\\ ") || streq(domain, "..") || *domain == '.')
		return err_new(ERR_INVALID, "registry \"%.64s\": expected HOST or HOST:PORT",
			       domain);
	job_registry_options(j, domain, &own, &o);
	o.mirror = NULL; /* who one is to the registry itself */
	return registry_login(&o);
}
