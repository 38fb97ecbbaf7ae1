/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/cert.h"

#include <gnutls/x509.h>
#include <time.h>

#include "util/mem.h"
#include "util/str.h"

#define NAMES_MAX 4

struct cert {
	gnutls_x509_crt_t crt;
};

static void own_cert_release(struct cert *c)
{
	if (c->crt)
		gnutls_x509_crt_deinit(c->crt);
}

static char *dated(const char *what, time_t when)
{
	char date[16];
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	return xasprintf("certificate %s %s", what, date);
}

/* Those that people gave it: names, and addresses as they are written. */
static void add_name(struct str *out, unsigned type, const uint8_t *name, size_t len)
{
	const char *comma = out->len ? ", " : "";

	if (type == GNUTLS_SAN_DNSNAME)
		str_addf(out, "%s%.*s", comma, (int)len, (const char *)name);
	else if (type == GNUTLS_SAN_IPADDRESS && len == 4)
		str_addf(out, "%s%u.%u.%u.%u", comma, name[0], name[1], name[2], name[3]);
}

static char *wrong_name(gnutls_x509_crt_t crt, const char *host)
{
	OWN(str) struct str names = { 0 };

	for (unsigned i = 0; i < NAMES_MAX; i++) {
		uint8_t name[256];
		size_t len = sizeof(name);
		int type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &len, NULL);

		if (type < 0)
			break;
		add_name(&names, (unsigned)type, name, len);
	}
	return xasprintf("certificate is valid for %s, not %s", names.len ? names.buf : "no name",
			 host);
}

char *cert_fault(const char *pem, size_t len, const char *host, int64_t now_s)
{
	gnutls_datum_t data = { (unsigned char *)(uintptr_t)pem, (unsigned)len };
	OWN(cert) struct cert c = { 0 };
	time_t end, begin;

	if (gnutls_x509_crt_init(&c.crt) < 0)
		return NULL;
	if (gnutls_x509_crt_import(c.crt, &data, GNUTLS_X509_FMT_PEM) < 0)
		return xstrdup("certificate cannot be read");
	begin = gnutls_x509_crt_get_activation_time(c.crt);
	end = gnutls_x509_crt_get_expiration_time(c.crt);
	if (end < now_s)
		return dated("has expired on", end);
	if (begin > now_s)
		return dated("is not valid before", begin);
	if (!gnutls_x509_crt_check_hostname(c.crt, host))
		return wrong_name(c.crt, host);
	return NULL;
}
