/* SPDX-License-Identifier: Apache-2.0 */

/* Certificates of hosts: hosteld itself has no TLS library. */

#include <string.h>
#include <sys/utsname.h>

#include "tls/identity.h"
#include "util/mem.h"
#include "worker/job.h"

static struct err *answer(const char *pem, json_t **ret_done)
{
	OWN(mem) char *clean = NULL;
	char fingerprint[DIGEST_CHARS];

	TRY(certificate_read(pem, strlen(pem), &clean, fingerprint));
	*ret_done = json_object();
	jx_set_str(*ret_done, "certificate", clean);
	jx_set_str(*ret_done, "fingerprint", fingerprint);
	return NULL;
}

struct err *job_identity(struct job *j, json_t **ret_done)
{
	OWN(mem) char *dir = xasprintf("%s/tls", j->root);
	OWN(identity) struct identity id = { 0 };
	struct utsname host;

	TRY(identity_open(dir, uname(&host) == 0 ? host.nodename : "hostel", &id));
	return answer(id.certificate, ret_done);
}

struct err *job_certificate(struct job *j, json_t **ret_done)
{
	const char *pem = NULL;

	TRY(job_arg(j, "pem", &pem));
	return answer(pem, ret_done);
}
